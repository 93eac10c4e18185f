package fleetlog

import (
	"context"
	"fmt"
	"time"
)

// Event is Acknowledged, Refused, Dropped, Committed, Released, Postponed, Reconnecting or Problem. Each batch has one
// outcome: it is acknowledged, refused or dropped; with UntilCommitted it is committed after that.
type Event interface{ isEvent() }

// SentBatch names a batch that has a number.
type SentBatch struct {
	SessionID string
	Sequence  uint64
	Records   int
	// IsRecovered: an earlier process left it in the spool.
	IsRecovered bool
}

// Rejection says why one record was rejected. The server keeps it in dead_letters.
type Rejection struct {
	Index  int
	Reason string
}

type (
	// Acknowledged: the batch is on disk at the server.
	Acknowledged struct {
		SentBatch
		Accepted int
		// Rejected is exact; Rejections lists the first 100.
		Rejected   int
		Rejections []Rejection
		ServerTime time.Time
	}
	// Refused: the server will never take the batch. Its number is declared as dropped.
	Refused struct {
		SentBatch
		Field, Reason string
	}
	// Dropped: the batch was given up, because the limit was reached or the spool is damaged, and declared as dropped.
	Dropped struct {
		SentBatch
		Reason string
	}
	// Committed: the batch is in PostgreSQL.
	Committed struct{ SentBatch }
	// Released: an acknowledged batch was forgotten before it was committed, because the limit was reached.
	Released struct{ SentBatch }
	// Postponed: the server asks to send the batch again later.
	Postponed struct {
		SentBatch
		Code   int // of google.rpc.Code
		Reason string
	}
	// Reconnecting: the stream ended with batches in flight or waiting, and is opened again after Delay.
	Reconnecting struct {
		Attempt int
		Delay   time.Duration
		Code    int // of google.rpc.Code
		Reason  string
	}
	// Problem is something a person should know: damage in the spool, a disk that fails.
	Problem struct{ Reason string }
)

func (Acknowledged) isEvent() {}
func (Refused) isEvent()      {}
func (Dropped) isEvent()      {}
func (Committed) isEvent()    {}
func (Released) isEvent()     {}
func (Postponed) isEvent()    {}
func (Reconnecting) isEvent() {}
func (Problem) isEvent()      {}

const eventsMax = 4096

// eventQueue delivers events on a goroutine of its own, so that a callback may log.
type eventQueue struct {
	events chan any // an Event, or the channel of a barrier
	missed int
	done   chan struct{}
}

func startEvents(onEvent func(Event)) *eventQueue {
	if onEvent == nil {
		return nil
	}
	q := &eventQueue{events: make(chan any, eventsMax), done: make(chan struct{})}
	go func() {
		defer close(q.done)
		for item := range q.events {
			switch item := item.(type) {
			case Event:
				onEvent(item)
			case chan struct{}:
				close(item)
			}
		}
	}()
	return q
}

// emit never blocks. Only the loop calls it.
func (q *eventQueue) emit(event Event) {
	if q == nil {
		return
	}
	if q.missed > 0 {
		select {
		case q.events <- Problem{fmt.Sprintf("%d events were not delivered: OnEvent is too slow", q.missed)}:
			q.missed = 0
		default:
		}
	}
	select {
	case q.events <- event:
	default:
		q.missed++
	}
}

// barrier returns when all events before it are delivered.
func (q *eventQueue) barrier(ctx context.Context) error {
	if q == nil {
		return nil
	}
	reached := make(chan struct{})
	select {
	case q.events <- reached:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close delivers what is left. Nothing may be emitted any more.
func (q *eventQueue) close() {
	if q != nil {
		close(q.events)
		<-q.done
	}
}
