package fleetlog

import (
	"context"
	"time"

	"fleetlog/clients/go/fleetlogv1"
)

// commits keeps accepted batches until the server reports them as committed. Each batch remembers the epoch of the link
// that accepted it: another epoch means that Redis may have lost the batch, so it is sent again. Batches that stay
// uncommitted for CommitTimeout for any other reason are sent again too: first one, then two, … at most resendMax at a
// time, so that devices do not pile up copies while only PostgreSQL is down.
//
// Session names are not secret, so another sender may declare a device's batches as dropped. Progress that counts other
// drops than the device's own is not trusted: the client then asks which batches are stored, and keeps the others.
type commits struct {
	delivery    *delivery
	epoch       uint64 // of the link; 0: not known yet
	through     uint64
	isInDoubt   bool
	timer       *timer
	isAsking    bool
	progressAt  time.Time
	resendCount int
}

// resendMax is the limit in flight.
const resendMax = 32

func (c *commits) accept(e *entry) {
	c.delivery.pending.accept(e, c.epoch)
	if e.through() <= c.through {
		c.settleThrough()
	}
	if !c.timer.isRunning() && !c.isAsking {
		c.progressAt = time.Now()
		c.resendCount = 1
		c.restartTimer()
	}
}

func (c *commits) receive(progress *fleetlogv1.Progress) {
	pending := &c.delivery.pending
	c.epoch = progress.Epoch
	isInDoubt := progress.DroppedCount != pending.drops.countUntil(progress.CommittedThrough)
	if isInDoubt != c.isInDoubt {
		c.isInDoubt = isInDoubt
		if c.timer.isRunning() {
			c.restartTimer()
		}
	}
	if !isInDoubt {
		c.through = max(c.through, progress.CommittedThrough)
	}
	hasSettled := c.settleThrough()
	lost := pending.choose(pending.count(), func(e *entry) bool {
		return e.state == accepted && e.epoch != progress.Epoch
	})
	pending.writeAgain(lost...)
	if hasSettled || len(lost) > 0 {
		c.delivery.client.onChange()
		c.delivery.pump()
	}
}

func (c *commits) settleThrough() bool {
	return c.settle(func(e *entry) bool { return e.through() <= c.through })
}

func (c *commits) settle(isCommitted func(*entry) bool) bool {
	pending := &c.delivery.pending
	committed := pending.choose(pending.count(), func(e *entry) bool { return e.state == accepted && isCommitted(e) })
	pending.settle(committed...)
	for _, e := range committed {
		if !e.isDeclaration() {
			c.delivery.client.emit(Committed{c.delivery.name(e)})
		}
	}
	if len(committed) > 0 {
		c.progressAt = time.Now()
	}
	return len(committed) > 0
}

func (c *commits) restartTimer() {
	c.timer.stop()
	c.timer = c.delivery.client.loop.after(c.pollInterval(), c.check)
}

func (c *commits) pollInterval() time.Duration {
	if c.isInDoubt {
		return c.delivery.client.options.CommitPoll
	}
	return c.delivery.client.options.CommitTimeout
}

// check asks the server, unless progress arrived recently.
func (c *commits) check() {
	client := c.delivery.client
	if c.delivery.pending.accepted == 0 {
		return
	}
	if !c.isInDoubt && time.Since(c.progressAt) < c.pollInterval() {
		c.restartTimer()
		return
	}
	c.isAsking = true
	service := fleetlogv1.NewIngestServiceClient(client.connection)
	go func() {
		ctx, cancel := context.WithTimeout(client.ctx, client.options.AckTimeout)
		defer cancel()
		request := &fleetlogv1.GetSessionRequest{
			DeviceId: c.delivery.session.DeviceId, SessionId: c.delivery.session.SessionId,
		}
		stored, err := service.GetSession(ctx, request)
		if err != nil {
			stored = nil // an unavailable server is asked again
		}
		client.loop.post(func() { c.onSession(stored) })
	}()
}

func (c *commits) onSession(stored *fleetlogv1.GetSessionResponse) {
	c.isAsking = false
	if c.delivery.isClosed {
		return
	}
	pending := &c.delivery.pending
	hasChanged := stored != nil && c.settle(func(e *entry) bool { return isCommittedIn(stored, e) })
	if pending.accepted > 0 && time.Since(c.progressAt) >= c.delivery.client.options.CommitTimeout {
		pending.writeAgain(pending.choose(c.resendCount, func(e *entry) bool { return e.state == accepted })...)
		c.resendCount = min(2*c.resendCount, resendMax)
		c.progressAt = time.Now()
		hasChanged = true
	}
	if pending.accepted > 0 {
		c.restartTimer()
	}
	if hasChanged {
		c.delivery.client.onChange()
		c.delivery.pump()
	}
}

// isCommittedIn: a drop that another sender declared does not settle a batch, only a declaration of the device's own.
func isCommittedIn(stored *fleetlogv1.GetSessionResponse, e *entry) bool {
	return contains(stored.CommittedRanges, e) || e.isDeclaration() && contains(stored.DroppedRanges, e)
}

func contains(ranges []*fleetlogv1.SequenceRange, e *entry) bool {
	for _, r := range ranges {
		if r.First <= e.sequence && e.through() <= r.Last {
			return true
		}
	}
	return false
}
