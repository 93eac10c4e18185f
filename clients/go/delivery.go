package fleetlog

import (
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"fleetlog/clients/go/fleetlogv1"
	"fleetlog/clients/go/internal/spool"
)

// delivery sends the pending batches of one session and settles each:
//
//	unsent ──write──▶ in flight ──ack──────────────▶ settled, or accepted until it is committed: see commits
//	   ▲                  ├───────error 3, 7────────▶ settled: its number is declared as dropped
//	   ├──pause, in order─┼───────error 8, 14, or another transient one
//	   └──backoff, in order───────link ended: every batch in flight is unsent again
//
// Nothing is written during a pause. A link is opened only to write a batch or to receive progress, so a link that ends
// while nothing is pending (GOAWAY on an idle connection, a reload, an old stream) goes unnoticed. Nothing but an outcome
// settles a batch: a server that refuses the stream as such is asked again and again, less and less often.
type delivery struct {
	client      *Client
	session     *fleetlogv1.SessionKey
	pending     pending
	commits     *commits // nil: batches are kept until they are accepted
	isRecovered bool
	// isBlocked: something else is sent first.
	isBlocked func() bool

	link           *link
	pause          *timer
	pauseUntil     time.Time
	failedAttempts int
	lastError      string
	isClosed       bool
}

func newDelivery(client *Client, session *fleetlogv1.SessionKey, journal *spool.Journal) *delivery {
	d := &delivery{client: client, session: session, pending: pending{journal: journal}}
	if client.options.KeepUntil == UntilCommitted {
		d.commits = &commits{delivery: d}
	}
	return d
}

// uptimeNano goes with the request. The uptime of this process says nothing about a session of an earlier boot.
func (d *delivery) uptimeNano() uint64 {
	if d.isRecovered {
		return 0
	}
	return uint64(max(0, d.client.options.Uptime()))
}

// pump writes unsent batches up to the limits in flight.
func (d *delivery) pump() {
	if d.isClosed || d.pause.isRunning() || d.isBlocked != nil && d.isBlocked() {
		return
	}
	for e := d.pending.nextUnsent(); e != nil; e = d.pending.nextUnsent() {
		d.open()
		if d.link.isFull() {
			return
		}
		request, err := d.pending.read(e)
		if err == nil {
			d.pending.written()
			d.link.write(e, request)
		} else if !errors.Is(err, spool.ErrDamaged) || !d.declare(e, "the spool is damaged") {
			d.postpone("the spool cannot be read: " + err.Error())
			return
		} else {
			d.client.deviceLost(e)
			d.client.emit(Dropped{d.name(e), err.Error()})
		}
	}
	if d.pending.accepted > 0 { // to receive progress
		d.open()
	}
}

func (d *delivery) open() {
	if d.link != nil {
		return
	}
	if d.commits != nil {
		d.commits.epoch = 0 // the new link reports its own
	}
	d.client.links++
	d.link = openLink(d)
}

// close ends the delivery; what is pending stays in the spool, if there is one.
func (d *delivery) close() {
	if d.isClosed {
		return
	}
	d.isClosed = true
	d.pause.stop()
	if d.commits != nil {
		d.commits.timer.stop()
	}
	if d.link == nil {
		return
	}
	if d.pending.count() == 0 {
		d.link.finish()
	} else {
		d.link.abort("the client is closed")
	}
}

func (d *delivery) onAck(e *entry, ack *fleetlogv1.Ack) {
	if d.isClosed {
		return
	}
	refusal := ack.Error
	if refusal != nil && !isFinal(refusal.Code) {
		d.retry(e, refusal)
		return
	}
	d.failedAttempts, d.lastError = 0, ""
	if refusal != nil {
		d.refuse(e, refusal)
	} else {
		d.acknowledge(e, ack)
	}
	d.client.onChange()
	d.pump()
}

func isFinal(code fleetlogv1.BatchErrorCode) bool {
	return code == fleetlogv1.BatchErrorCode_BATCH_ERROR_CODE_INVALID_ARGUMENT ||
		code == fleetlogv1.BatchErrorCode_BATCH_ERROR_CODE_PERMISSION_DENIED
}

func (d *delivery) acknowledge(e *entry, ack *fleetlogv1.Ack) {
	if !e.isDeclaration() && !e.wasAcknowledged {
		event := Acknowledged{SentBatch: d.name(e), Accepted: int(ack.Accepted), Rejected: int(ack.Rejected)}
		for _, r := range ack.Rejections {
			event.Rejections = append(event.Rejections, Rejection{int(r.Index), r.Reason})
		}
		if ack.ServerTimeUnixNano > 0 {
			event.ServerTime = time.Unix(0, int64(ack.ServerTimeUnixNano))
		}
		d.client.emit(event)
	}
	if d.commits == nil {
		d.pending.settle(e)
	} else {
		d.commits.accept(e)
	}
}

func (d *delivery) refuse(e *entry, refusal *fleetlogv1.BatchError) {
	if e.isDeclaration() { // there is nothing else to be done then
		d.pending.settle(e)
		return
	}
	if !d.declare(e, "refused: "+refusal.Message) {
		d.pending.settle(e)
	}
	// A DeviceInfo that is itself refused would take every batch with it.
	if !strings.HasPrefix(refusal.Field, "batch.device.") {
		d.client.deviceLost(e)
	}
	d.client.emit(Refused{d.name(e), refusal.Field, refusal.Message})
}

func (d *delivery) onProgress(progress *fleetlogv1.Progress) {
	if d.isClosed || d.commits == nil {
		return
	}
	d.failedAttempts = 0
	d.commits.receive(progress)
}

// retry: the server asks to send this batch again later; the batches after it get acknowledgements of their own.
func (d *delivery) retry(e *entry, refusal *fleetlogv1.BatchError) {
	d.pending.writeAgain(e)
	if !d.pause.isRunning() {
		d.failedAttempts++
	}
	d.lastError = refusal.Message
	delay := time.Duration(refusal.RetryDelayMs) * time.Millisecond
	if delay == 0 {
		delay = d.backoff(d.client.options.BackoffMax)
	}
	d.pauseAtLeast(delay)
	d.client.emit(Postponed{d.name(e), int(refusal.Code), refusal.Message})
}

// onEnd: batches without an acknowledgement by now may or may not be stored.
func (d *delivery) onEnd(ended *link, end linkEnd) {
	if d.link == ended {
		d.link = nil
	}
	d.client.linkEnded()
	if d.isClosed || d.pending.count() == 0 {
		return
	}
	d.pending.writeAgain(d.pending.choose(d.pending.count(), func(e *entry) bool { return e.state == inFlight })...)
	// The server ended an idle stream, because of its age or a shutdown.
	isQuiet := d.pending.accepted == d.pending.count() && d.failedAttempts == 0
	d.failedAttempts++
	delay := end.delay
	if delay == 0 {
		delay = d.backoff(d.backoffMax(end.code))
		if d.failedAttempts >= attemptsPerConnection {
			d.client.replaceConnection(ended.connection)
		}
	}
	delay = d.pauseAtLeast(delay)
	if !isQuiet {
		d.lastError = end.code.String() + ": " + end.reason
		d.client.emit(Reconnecting{d.failedAttempts, delay, int(end.code), end.reason})
	}
}

// attemptsPerConnection is how many streams in a row may fail on a connection without a word about when to come back.
const attemptsPerConnection = 3

// backoffMax: a server that refuses the stream as such does so until an operator changes something.
func (d *delivery) backoffMax(code codes.Code) time.Duration {
	switch code {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return max(d.client.options.BackoffMax, retryDelayMax)
	}
	return d.client.options.BackoffMax
}

// postpone pauses after a failure of the device's own.
func (d *delivery) postpone(reason string) {
	d.failedAttempts++
	d.lastError = reason
	d.client.emit(Problem{reason})
	d.pauseAtLeast(d.backoff(d.client.options.BackoffMax))
}

// backoff has full jitter.
func (d *delivery) backoff(limit time.Duration) time.Duration {
	ceiling := d.client.options.BackoffBase
	for attempt := 1; attempt < d.failedAttempts && ceiling < limit; attempt++ {
		ceiling *= 2
	}
	return time.Duration(rand.Int64N(int64(min(ceiling, limit)) + 1))
}

// pauseAtLeast: a pause can only be extended.
func (d *delivery) pauseAtLeast(delay time.Duration) time.Duration {
	delay = min(delay, retryDelayMax)
	until := time.Now().Add(delay)
	if d.pause.isRunning() && !d.pauseUntil.Before(until) {
		return time.Until(d.pauseUntil)
	}
	d.pause.stop()
	d.pauseUntil = until
	d.pause = d.client.loop.after(delay, d.pump)
	return delay
}

func (d *delivery) name(e *entry) SentBatch {
	return SentBatch{d.session.SessionId, e.sequence, e.records, d.isRecovered}
}
