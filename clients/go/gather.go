package fleetlog

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// gather collects records into a batch until there are enough, or the first is old enough.
type gather struct {
	client   *Client
	lock     chan struct{} // a mutex that heeds a context
	batch    outgoing
	timer    *time.Timer
	isClosed bool
}

func newGather(client *Client) *gather { return &gather{client: client, lock: make(chan struct{}, 1)} }

// acquire prefers the lock to a context that is over: a record of a cancelled request can still be logged.
func (g *gather) acquire(ctx context.Context) error {
	select {
	case g.lock <- struct{}{}:
		return nil
	default:
	}
	select {
	case g.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gather) release() { <-g.lock }

// add takes the record, or fails and does not.
func (g *gather) add(ctx context.Context, record []byte) error {
	options := &g.client.options
	size := len(record) + framingBytes
	if limit := batchBytesMax - headerBytesMax - len(g.client.attributes); size > limit {
		return fmt.Errorf("a record of %d bytes exceeds the limit of a batch, %d", len(record), limit)
	}
	if err := g.acquire(ctx); err != nil {
		return err
	}
	defer g.release()
	if g.isClosed {
		return ErrClosed
	}
	if len(g.batch.records) > 0 && (g.isFull() || g.batch.size+size > options.BatchBytes) {
		if err := g.sendLocked(ctx); err != nil {
			return err
		}
	}
	g.batch.records = append(g.batch.records, record)
	g.batch.size += size
	if len(g.batch.records) == 1 {
		g.timer = time.AfterFunc(options.BatchAge, g.sendOld)
	}
	if g.isFull() {
		if err := g.sendLocked(ctx); errors.Is(err, ErrClosed) {
			return err
		} // after another error the record is taken, and goes with the next call or at its age
	}
	return nil
}

func (g *gather) isFull() bool {
	options := &g.client.options
	return len(g.batch.records) >= options.BatchRecords || g.batch.size >= options.BatchBytes
}

func (g *gather) sendOld() {
	if g.send(g.client.ctx) != nil && g.client.ctx.Err() == nil {
		// The disk refuses the batch, which emitted a Problem: try again later.
		if g.acquire(g.client.ctx) == nil {
			defer g.release()
			g.timer = time.AfterFunc(g.client.options.BatchAge, g.sendOld)
		}
	}
}

func (g *gather) send(ctx context.Context) error {
	if err := g.acquire(ctx); err != nil {
		return err
	}
	defer g.release()
	return g.sendLocked(ctx)
}

// sendLocked keeps the records when it fails.
func (g *gather) sendLocked(ctx context.Context) error {
	if len(g.batch.records) == 0 {
		return nil
	}
	g.batch.attributes = g.client.attributes
	if _, err := g.client.send(ctx, &g.batch); err != nil {
		return err
	}
	g.timer.Stop()
	g.batch = outgoing{}
	return nil
}

// close returns the records that are not sent.
func (g *gather) close() *outgoing {
	g.lock <- struct{}{}
	defer g.release()
	g.isClosed = true
	if len(g.batch.records) == 0 {
		return nil
	}
	g.timer.Stop()
	g.batch.attributes = g.client.attributes
	return &g.batch
}
