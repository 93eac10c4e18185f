// Package fleetlog sends the logs of a device to Fleetlog: it numbers batches, keeps each until the server has it, and
// sends it again despite failing connections, servers and restarts. The server stores every record once.
package fleetlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"fleetlog/clients/go/fleetlogv1"
	"fleetlog/clients/go/internal/spool"
)

// ErrClosed: the client is closed.
var ErrClosed = errors.New("fleetlog: the client is closed")

// Batch is sent as one, with a number of its own: 1 to 10,000 records, at most 1 MiB encoded.
type Batch struct {
	Records []Record
	// Attributes of all records, beside those of the Options.
	Attributes []Attribute
}

// Client of one device. All methods may be called from any goroutine.
type Client struct {
	options    Options
	attributes []byte // of every batch, encoded
	ctx        context.Context
	cancel     context.CancelFunc
	loop       *loop
	events     *eventQueue
	spool      *spool.Spool // nil: in memory
	gather     *gather
	closing    sync.Once
	closeError error

	// The rest belongs to the loop.
	connection *grpc.ClientConn
	main       *delivery
	recovered  []*delivery // sent before main, one after the other
	sequence   uint64
	device     []byte // encoded, while it is not sent
	sent       []byte // the encoded DeviceInfo that was sent last
	waiting    []*admission
	flushes    []*flush
	syncTimer  *timer
	isClosed   bool
	isEnding   bool
	links      int
	drained    chan struct{} // closed when no link is left at the end
}

// admission is a batch that waits for capacity.
type admission struct {
	batch    *outgoing
	sequence uint64
	path     string // the file to bring to the disk
	err      error
	done     chan struct{}
}

type flush struct {
	through uint64
	done    chan struct{}
}

// Open returns a client, which connects with its first batch. It fails for invalid options, and for a spool that cannot
// be used or is in use; a server that is not there is no error.
func Open(options Options) (*Client, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("fleetlog: %w", err)
	}
	c := &Client{options: options}
	if c.attributes, err = encodeBatchAttributes(options.Attributes); err != nil {
		return nil, fmt.Errorf("fleetlog: %w", err)
	}
	if options.BatchBytes+len(c.attributes) > batchBytesMax-headerBytesMax {
		return nil, fmt.Errorf("fleetlog: BatchBytes: %d bytes and %d of Attributes exceed the limit of a batch, %d",
			options.BatchBytes, len(c.attributes), batchBytesMax-headerBytesMax)
	}
	if options.Device != nil {
		if c.device, err = options.Device.encode(); err != nil {
			return nil, fmt.Errorf("fleetlog: %w", err)
		}
	}
	session := spool.Session{DeviceID: options.DeviceID, SessionID: options.SessionID}
	if options.Spool != "" {
		if c.spool, err = spool.Open(options.Spool, session, options.PendingBytes); err != nil {
			return nil, fmt.Errorf("fleetlog: %w", err)
		}
	}
	if c.connection, err = dial(&options); err != nil {
		if c.spool != nil {
			err = errors.Join(err, c.spool.Close())
		}
		return nil, fmt.Errorf("fleetlog: %w", err)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.gather = newGather(c)
	c.events = startEvents(options.OnEvent)
	c.loop = startLoop()
	c.loop.call(func() { c.start(session) })
	return c, nil
}

func (c *Client) start(session spool.Session) {
	var journal *spool.Journal
	if c.spool != nil {
		journal = c.spool.Journal
		for _, problem := range c.spool.Problems {
			c.emit(Problem{problem})
		}
		for _, earlier := range c.spool.Recovered {
			d := newDelivery(c, toKey(earlier.Journal.Session), earlier.Journal)
			d.isRecovered = true
			for _, batch := range earlier.Batches {
				d.pending.restore(&entry{
					sequence: batch.Sequence, last: batch.Last, records: batch.Records, size: batch.Size,
					wasWritten: batch.Written,
				})
			}
			c.recovered = append(c.recovered, d)
		}
	}
	c.main = newDelivery(c, toKey(session), journal)
	c.main.isBlocked = c.isRecovering
	c.onChange()
}

// isRecovering: batches of earlier processes go first. While they only wait to be committed, new ones go too.
func (c *Client) isRecovering() bool {
	return len(c.recovered) > 0 && c.recovered[0].pending.accepted < c.recovered[0].pending.count()
}

func toKey(session spool.Session) *fleetlogv1.SessionKey {
	return &fleetlogv1.SessionKey{DeviceId: session.DeviceID, SessionId: session.SessionID}
}

// SessionID identifies the batches of this client: it is random, and another one for every Open.
func (c *Client) SessionID() string { return c.options.SessionID }

// Log adds a record to the next batch, which is sent when it is full or old enough. With Wait it waits for capacity, as
// long as ctx allows; with DropOldest it does not. A record without Time and Uptime gets the current time, or on a device
// whose clock was never set, its uptime. After an error the record is not kept.
func (c *Client) Log(ctx context.Context, record Record) error {
	message := record.toMessage()
	if message.UptimeNano == 0 {
		c.setTime(message, record.Time)
	}
	encoded, err := deterministic.Marshal(message)
	if err != nil {
		return fmt.Errorf("fleetlog: %w", err)
	}
	return c.gather.add(ctx, encoded)
}

// setTime: a time before 2024 is the one of a clock that was never set. The server then dates the record by its uptime.
func (c *Client) setTime(message *fleetlogv1.LogRecord, at time.Time) {
	if at.IsZero() {
		at = time.Now()
	}
	message.TimeUnixNano = unixNano(at)
	if at.Year() < 2024 {
		message.TimeUnixNano, message.UptimeNano = 0, uint64(max(0, c.options.Uptime()))
	}
}

// Send sends the records as they are, as one batch, and returns its number. With Wait it waits for capacity, as long as ctx
// allows. After an error the batch has no number and is not sent.
func (c *Client) Send(ctx context.Context, batch Batch) (sequence uint64, err error) {
	out := &outgoing{records: make([][]byte, len(batch.Records)), attributes: c.attributes}
	if len(batch.Records) == 0 || len(batch.Records) > batchRecordsMax {
		return 0, fmt.Errorf("fleetlog: a batch of %d records, wanted 1 to %d", len(batch.Records), batchRecordsMax)
	}
	for index := range batch.Records {
		if out.records[index], err = deterministic.Marshal(batch.Records[index].toMessage()); err != nil {
			return 0, fmt.Errorf("fleetlog: record %d: %w", index, err)
		}
		out.size += len(out.records[index]) + framingBytes
	}
	if len(batch.Attributes) > 0 {
		all := append(append([]Attribute{}, c.options.Attributes...), batch.Attributes...)
		if out.attributes, err = encodeBatchAttributes(all); err != nil {
			return 0, fmt.Errorf("fleetlog: %w", err)
		}
	}
	if size := out.size + len(out.attributes); size > batchBytesMax-headerBytesMax {
		return 0, fmt.Errorf("fleetlog: a batch of %d bytes, at most %d", size, batchBytesMax-headerBytesMax)
	}
	return c.send(ctx, out)
}

func (c *Client) send(ctx context.Context, batch *outgoing) (uint64, error) {
	a := &admission{batch: batch, done: make(chan struct{})}
	if !c.loop.post(func() { c.admitInOrder(a) }) {
		return 0, ErrClosed
	}
	select {
	case <-a.done:
	case <-c.loop.done:
		return 0, ErrClosed
	case <-ctx.Done():
		c.loop.call(func() { c.withdraw(a, ctx.Err()) })
		select {
		case <-a.done: // perhaps it was admitted before that
		case <-c.loop.done:
			return 0, ErrClosed
		}
	}
	if a.err == nil && a.path != "" && c.options.SpoolSync < 0 {
		if err := spool.SyncFiles([]string{a.path}); err != nil {
			c.loop.post(func() { c.emit(Problem{"the spool cannot be synced: " + err.Error()}) })
		}
	}
	return a.sequence, a.err
}

// SetDevice changes what the device says about itself, for example after an update: it goes with the next batch.
func (c *Client) SetDevice(device DeviceInfo) error {
	encoded, err := device.encode()
	if err != nil {
		return fmt.Errorf("fleetlog: %w", err)
	}
	if !c.loop.post(func() { c.device = encoded }) {
		return ErrClosed
	}
	return nil
}

// Flush sends what Log collected, and returns when everything is settled that was sent before it: acknowledged or, with
// UntilCommitted, committed. With an error nothing is lost: the client goes on.
func (c *Client) Flush(ctx context.Context) error {
	if err := c.gather.send(ctx); err != nil {
		return err
	}
	f := &flush{done: make(chan struct{})}
	if !c.loop.post(func() {
		f.through = c.sequence
		c.flushes = append(c.flushes, f)
		c.onChange()
	}) {
		return ErrClosed
	}
	select {
	case <-f.done:
		return c.events.barrier(ctx)
	case <-c.loop.done:
		return ErrClosed
	case <-ctx.Done():
		err := ErrClosed
		c.loop.call(func() { err = c.abandon(f, ctx.Err()) })
		return err
	}
}

// Close ends the client. With a spool, everything that is not settled is in it, and is sent by the next client; without
// one it is lost, and Close says how much: call Flush before.
func (c *Client) Close() error {
	c.closing.Do(func() { c.closeError = c.close() })
	return c.closeError
}

func (c *Client) close() error {
	c.drained = make(chan struct{})
	c.loop.call(c.refuseMore)
	rest := c.gather.close()
	lost := 0
	c.loop.call(func() { lost = c.end(rest) })
	select {
	case <-c.drained:
	case <-time.After(closeWait):
	}
	c.cancel()
	c.loop.stop()
	problems := []error{c.connection.Close()}
	if c.spool != nil {
		problems = append(problems, c.spool.Close())
	}
	c.events.close()
	if lost > 0 {
		problems = append(problems, fmt.Errorf("fleetlog: closed with %d batches that have no outcome", lost))
	}
	return errors.Join(problems...)
}

// closeWait is how long a server may take to end its stream.
const closeWait = time.Second
