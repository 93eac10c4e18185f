package fleetlog

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
)

// KeepUntil says when the client forgets a batch.
type KeepUntil int

const (
	// UntilAccepted: the batch is on disk in Redis. Survives broken connections, and restarts of everything.
	UntilAccepted KeepUntil = iota
	// UntilCommitted: the batch is in PostgreSQL. Survives the loss of Redis with its disk too.
	UntilCommitted
)

// OnFull says what happens at the limit of pending batches.
type OnFull int

const (
	// Wait: Send and Log wait for capacity, as long as their context allows.
	Wait OnFull = iota
	// DropOldest: the oldest batches that were never written are dropped, and declared to the server.
	DropOldest
)

// Options of a client. Only DeviceID is required.
type Options struct {
	// DeviceID is 1 to 128 characters of A-Z a-z 0-9 . _ : -
	DeviceID string
	// Address is HOST:PORT; default 127.0.0.1:50051.
	Address string
	// TLS turns on TLS; nil: plaintext. &tls.Config{} trusts the system's certificates.
	TLS *tls.Config
	// Token returns the bearer token of a call; it is asked for every stream. A token is only sent over TLS, or to a
	// loopback address.
	Token func(context.Context) (string, error)
	// Gzip compresses what is sent: a fifth of the bytes, for some CPU.
	Gzip bool
	// DialOptions are passed to grpc.NewClient after the client's own.
	DialOptions []grpc.DialOption

	// Device is what the device says about itself. It goes with the first batch.
	Device *DeviceInfo
	// Attributes of all records, such as the boot reason; at most 64.
	Attributes []Attribute
	// Uptime is the time since the device booted; on Linux the default is CLOCK_BOOTTIME, elsewhere the time since
	// the process started. It dates the records of a device that does not know the time.
	Uptime func() time.Duration

	// Spool is a folder that keeps batches across restarts of the program; created if missing, and used by one
	// process at a time. None by default.
	Spool string
	// SpoolSync is how long a batch may stay in the kernel before it is on disk; default 1 s. A loss of power can cost
	// that much; the end of the process, however violent, costs nothing. Negative: Send waits for the disk.
	SpoolSync time.Duration
	// KeepUntil is UntilAccepted or UntilCommitted.
	KeepUntil KeepUntil
	// OnFull is Wait or DropOldest.
	OnFull OnFull
	// PendingBatches and PendingBytes limit what is pending in memory or in the spool, with what earlier processes left
	// there; default 1,024 and 64 MiB.
	PendingBatches int
	PendingBytes   int64

	// BatchRecords, BatchBytes and BatchAge: Log sends a batch when it has this many records or bytes, or when its first
	// record is this old; default 500, 256 KiB and 1 s.
	BatchRecords int
	BatchBytes   int
	BatchAge     time.Duration

	// InFlightBatches and InFlightBytes: how much is sent ahead of the acknowledgements; default, and at most, 32 and
	// 4 MiB, which is where the server stops reading.
	InFlightBatches int
	InFlightBytes   int
	// AckTimeout: without an acknowledgement for this long the connection counts as dead; default 30 s.
	AckTimeout time.Duration
	// CommitTimeout: the oldest batches are sent again after this long without progress; default 60 s.
	CommitTimeout time.Duration
	// CommitPoll is how often the client asks for the stored batches while it does not trust the reported progress;
	// default 2 s.
	CommitPoll time.Duration
	// BackoffBase and BackoffMax: the n-th attempt in a row waits a random time up to Base·2ⁿ, at most Max; default
	// 100 ms and 5 s. A server that refuses the stream as such is asked at most every minute in the end.
	BackoffBase, BackoffMax time.Duration

	// OnEvent is called with each Event, one after the other. It may call Log and Send, but not Flush and Close. While it
	// is more than 4,096 events behind, events are dropped, and counted in a Problem.
	OnEvent func(Event)

	// SessionID identifies the batches of this client; random by default, which is right for a device: a session that
	// comes back with other batches is an incident.
	SessionID string
}

const (
	batchBytesMax   = 1 << 20
	batchRecordsMax = 10_000
	// headerBytesMax is an upper bound for device, session, sequence and framing.
	headerBytesMax = 1024
	// retryDelayMax is above any sensible delay of a server, so that a wrong one cannot silence a device.
	retryDelayMax = time.Minute
)

// withDefaults returns a copy with every field set, and an error that lists all that is wrong.
func (o Options) withDefaults() (Options, error) {
	var problems []error
	if o.DeviceID == "" || len(o.DeviceID) > 128 || !isName(o.DeviceID) {
		problems = append(problems,
			fmt.Errorf("DeviceID: %q is not 1 to 128 characters of A-Z a-z 0-9 . _ : -", o.DeviceID))
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:50051"
	}
	if o.SessionID == "" {
		random := make([]byte, 8)
		_, _ = rand.Read(random) // never fails
		o.SessionID = hex.EncodeToString(random)
	}
	if len(o.SessionID) > 64 || !isName(o.SessionID) {
		problems = append(problems,
			fmt.Errorf("SessionID: %q is not 1 to 64 characters of A-Z a-z 0-9 . _ : -", o.SessionID))
	}
	if o.Uptime == nil {
		o.Uptime = uptime
	}
	problems = append(problems,
		setDefault("PendingBatches", &o.PendingBatches, 1024, 1<<31),
		setDefault("PendingBytes", &o.PendingBytes, 64<<20, 1<<50),
		setDefault("BatchRecords", &o.BatchRecords, 500, batchRecordsMax),
		setDefault("BatchBytes", &o.BatchBytes, 256<<10, batchBytesMax-headerBytesMax),
		setDefault("BatchAge", &o.BatchAge, time.Second, 24*time.Hour),
		setDefault("InFlightBatches", &o.InFlightBatches, 32, 32),
		setDefault("InFlightBytes", &o.InFlightBytes, 4<<20, 4<<20),
		setDefault("AckTimeout", &o.AckTimeout, 30*time.Second, time.Hour),
		setDefault("CommitTimeout", &o.CommitTimeout, time.Minute, 24*time.Hour),
		setDefault("CommitPoll", &o.CommitPoll, 2*time.Second, time.Hour),
		setDefault("BackoffBase", &o.BackoffBase, 100*time.Millisecond, time.Minute),
		setDefault("BackoffMax", &o.BackoffMax, 5*time.Second, time.Hour),
	)
	if o.SpoolSync == 0 {
		o.SpoolSync = time.Second
	}
	return o, errors.Join(problems...)
}

func setDefault[T int | int64 | time.Duration](name string, value *T, byDefault, limit T) error {
	if *value == 0 {
		*value = byDefault
	}
	if *value < 0 || *value > limit {
		return fmt.Errorf("%s: %v is not within 1 to %v", name, *value, limit)
	}
	return nil
}

func isName(text string) bool {
	for _, c := range []byte(text) {
		isLetter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !isLetter && c != '.' && c != '_' && c != ':' && c != '-' {
			return false
		}
	}
	return true
}
