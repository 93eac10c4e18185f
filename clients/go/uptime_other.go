//go:build !linux

package fleetlog

import "time"

var started = time.Now()

// uptime is the time since the process started: an instant all the same, and one per session.
func uptime() time.Duration { return time.Since(started) }
