package fleetlog

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime is the time since the machine booted, with the time that it was suspended.
func uptime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0 // unknown
	}
	return time.Duration(now.Nano())
}
