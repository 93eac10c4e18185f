package fleetlog

import (
	"fmt"
	"slices"

	"google.golang.org/grpc"

	"fleetlog/clients/go/internal/spool"
)

// The part of a client that belongs to the loop: what is admitted, in which order, and when it is settled.

func (c *Client) emit(event Event) { c.events.emit(event) }

func (c *Client) pendingTotal() (batches int, bytes int64) {
	for _, d := range append([]*delivery{c.main}, c.recovered...) {
		batches += d.pending.count()
		bytes += d.pending.bytes
	}
	return batches, bytes
}

func (c *Client) hasCapacity() bool {
	batches, bytes := c.pendingTotal()
	return c.options.OnFull == DropOldest || batches < c.options.PendingBatches && bytes < c.options.PendingBytes
}

func (c *Client) isOver() bool {
	batches, bytes := c.pendingTotal()
	return batches > c.options.PendingBatches || bytes > c.options.PendingBytes
}

func (c *Client) admitInOrder(a *admission) {
	switch {
	case c.isClosed:
		a.finish(ErrClosed)
	case len(c.waiting) == 0 && c.hasCapacity():
		a.finish(c.admit(a))
		c.onChange()
	default:
		c.waiting = append(c.waiting, a)
	}
}

func (a *admission) finish(err error) {
	a.err = err
	close(a.done)
}

func (c *Client) withdraw(a *admission, reason error) {
	if at := slices.Index(c.waiting, a); at >= 0 {
		c.waiting = slices.Delete(c.waiting, at, at+1)
		a.finish(reason)
	}
}

// admit gives the batch its number and keeps it.
func (c *Client) admit(a *admission) error {
	device := c.device
	if a.batch.size+len(a.batch.attributes)+len(device) > batchBytesMax-headerBytesMax {
		device = nil // it goes with another batch
	}
	sequence := c.sequence + 1
	request := a.batch.encode(c.main.session, sequence, device)
	e := &entry{
		sequence: sequence, records: len(a.batch.records), request: request, size: len(request),
		hasDevice: device != nil,
	}
	path, err := c.main.pending.add(e)
	if err != nil {
		c.emit(Problem{err.Error()})
		return fmt.Errorf("fleetlog: %w", err)
	}
	if device != nil {
		c.device, c.sent = nil, device
	}
	c.sequence, a.sequence, a.path = sequence, sequence, path
	if c.options.OnFull == DropOldest {
		for _, d := range c.recovered {
			d.dropOldest(c.isOver)
		}
		c.main.dropOldest(c.isOver)
	}
	c.syncLater()
	return nil
}

// deviceLost: the batch that may have carried the DeviceInfo is not stored, so another one does.
func (c *Client) deviceLost(e *entry) {
	if e.hasDevice && c.device == nil {
		c.device = c.sent
	}
}

func (c *Client) syncLater() {
	if c.spool == nil || c.options.SpoolSync < 0 || c.syncTimer.isRunning() {
		return
	}
	c.syncTimer = c.loop.after(c.options.SpoolSync, func() {
		paths := c.spool.Journal.TakeDirty()
		go func() {
			if err := spool.SyncFiles(paths); err != nil {
				c.loop.post(func() { c.emit(Problem{"the spool cannot be synced: " + err.Error()}) })
			}
		}()
	})
}

// onChange follows every change of what is pending.
func (c *Client) onChange() {
	if c.isClosed {
		return
	}
	for len(c.recovered) > 0 && c.recovered[0].pending.count() == 0 {
		done := c.recovered[0]
		c.recovered = c.recovered[1:]
		done.close()
		if err := done.pending.journal.Remove(); err != nil {
			c.emit(Problem{"files of the spool cannot be removed: " + err.Error()})
		}
	}
	for len(c.waiting) > 0 && c.hasCapacity() {
		next := c.waiting[0]
		c.waiting = c.waiting[1:]
		next.finish(c.admit(next))
	}
	if len(c.recovered) > 0 {
		c.recovered[0].pump()
	}
	c.main.pump()
	c.flushes = slices.DeleteFunc(c.flushes, func(f *flush) bool {
		if len(c.recovered) > 0 || c.main.pending.count() > 0 && c.main.pending.entries[0].sequence <= f.through {
			return false
		}
		close(f.done)
		return true
	})
}

// abandon returns why a flush did not end in time.
func (c *Client) abandon(f *flush, reason error) error {
	c.flushes = slices.DeleteFunc(c.flushes, func(other *flush) bool { return other == f })
	batches, _ := c.pendingTotal()
	lastError := c.main.lastError
	if len(c.recovered) > 0 {
		lastError = c.recovered[0].lastError
	}
	if lastError != "" {
		return fmt.Errorf("fleetlog: %d batches are pending: %s: %w", batches, lastError, reason)
	}
	return fmt.Errorf("fleetlog: %d batches are pending: %w", batches, reason)
}

func (c *Client) refuseMore() {
	c.isClosed = true
	for _, a := range c.waiting {
		a.finish(ErrClosed)
	}
	c.waiting = nil
}

// end keeps the last records in the spool, if there is one, and returns how many batches are lost.
func (c *Client) end(rest *outgoing) (lost int) {
	for _, d := range append([]*delivery{c.main}, c.recovered...) {
		d.close()
	}
	c.syncTimer.stop()
	if rest != nil && (c.spool == nil || c.admit(&admission{batch: rest}) != nil) {
		lost++
	}
	if c.spool == nil {
		lost += c.main.pending.count()
	}
	c.isEnding = true
	if c.links == 0 {
		close(c.drained)
	}
	return lost
}

// replaceConnection: another stream on a connection that has stopped working would not work either.
func (c *Client) replaceConnection(old *grpc.ClientConn) {
	if c.isClosed || c.connection != old {
		return
	}
	fresh, err := dial(&c.options)
	if err != nil {
		c.emit(Problem{"another connection: " + err.Error()})
		return
	}
	c.connection = fresh
	go old.Close() // which ends the streams of other sessions
}

func (c *Client) linkEnded() {
	c.links--
	if c.links == 0 && c.isEnding {
		close(c.drained)
	}
}
