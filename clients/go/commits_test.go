package fleetlog

import (
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/clients/go/fleetlogv1"
)

func progress(through, dropped, epoch uint64) *fleetlogv1.Progress {
	return &fleetlogv1.Progress{CommittedThrough: through, DroppedCount: dropped, Epoch: epoch}
}

func toRanges(pairs ...uint64) (ranges []*fleetlogv1.SequenceRange) {
	for at := 0; at < len(pairs); at += 2 {
		ranges = append(ranges, &fleetlogv1.SequenceRange{First: pairs[at], Last: pairs[at+1]})
	}
	return ranges
}

func pendingCount(client *Client) (count int) {
	client.loop.call(func() { count, _ = client.pendingTotal() })
	return count
}

func TestSettlesExactlyTheBatchesThatAreReportedAsCommitted(t *testing.T) {
	p := newPeer(t)
	p.progress = func(int) *fleetlogv1.Progress { return progress(0, 0, 7) }
	client, events := open(t, Options{Address: p.address, KeepUntil: UntilCommitted})
	send(t, client, names(3)...)
	eventually(t, "three acks", func() bool { return len(acknowledged(events)) == 3 })
	if n := pendingCount(client); n != 3 {
		t.Fatalf("%d pending", n)
	}
	p.report(progress(2, 0, 7))
	eventually(t, "two commits", func() bool { return len(committed(events)) == 2 })
	p.report(progress(3, 0, 7))
	flushAll(t, client)
	equal(t, committed(events), upTo(3))
}

func TestSendsAgainWhatAnotherEpochMayHaveLost(t *testing.T) {
	p := newPeer(t)
	p.progress = func(stream int) *fleetlogv1.Progress {
		if stream < 2 {
			return progress(1, 0, 7)
		}
		return progress(1, 0, 8)
	}
	client, events := open(t, Options{Address: p.address, KeepUntil: UntilCommitted})
	send(t, client, names(3)...)
	eventually(t, "three acks", func() bool { return len(acknowledged(events)) == 3 })
	p.endStreams() // the same epoch again: nothing is lost
	p.wait("another stream", func() bool { return p.streams == 2 })
	send(t, client, "batch-4")
	eventually(t, "four acks", func() bool { return len(acknowledged(events)) == 4 })
	equal(t, p.sequencesNow(), []string{"1", "2", "3", "4"})
	p.endStreams()
	p.wait("all again that is not committed", func() bool { return len(p.seen) == 7 })
	equal(t, p.sequencesNow()[4:], []string{"2", "3", "4"})
	eventually(t, "their acks", func() (is bool) {
		client.loop.call(func() { is = client.main.pending.accepted == 3 })
		return is
	})
	p.report(progress(4, 0, 8))
	flushAll(t, client)
	equal(t, committed(events), upTo(4))
	equal(t, acknowledged(events), upTo(4))
	if n := len(eventsOf[Reconnecting](events)); n != 0 {
		t.Fatalf("%d reconnects", n)
	}
	sameBytes(t, p)
}

func TestEndsAStreamThatChangesItsEpoch(t *testing.T) {
	p := newPeer(t)
	var epoch atomic.Uint64
	epoch.Store(7)
	p.progress = func(int) *fleetlogv1.Progress { return progress(epoch.Load()-7, 0, epoch.Load()) }
	client, events := open(t, Options{Address: p.address, KeepUntil: UntilCommitted})
	send(t, client, "one")
	eventually(t, "an ack", func() bool { return len(acknowledged(events)) == 1 })
	epoch.Store(9)
	p.report(progress(1, 0, 9))
	flushAll(t, client)
	equal(t, committed(events), upTo(1))
	if p.streams != 2 {
		t.Fatalf("%d streams", p.streams)
	}
}

func TestSettlesNoBatchThatItNeverWrote(t *testing.T) {
	p := newPeer(t)
	p.progress = func(int) *fleetlogv1.Progress { return progress(1000, 0, 7) }
	client, events := open(t, Options{Address: p.address, KeepUntil: UntilCommitted, InFlightBatches: 1})
	send(t, client, names(5)...)
	flushAll(t, client)
	equal(t, p.sequencesNow(), []string{"1", "2", "3", "4", "5"})
	equal(t, committed(events), upTo(5))
}

func TestAsksAndSendsTheOldestAgainWhenNoProgressComes(t *testing.T) {
	p := newPeer(t)
	p.progress = func(int) *fleetlogv1.Progress { return progress(0, 0, 7) }
	client, events := open(t, Options{Address: p.address, KeepUntil: UntilCommitted, CommitTimeout: 20 * time.Millisecond})
	send(t, client, names(3)...)
	p.wait("the first batches again", func() bool { return len(p.seen) >= 6 })
	if p.sequencesNow()[3] != "1" || p.sessions == 0 {
		t.Fatalf("%v, %d questions", p.sequencesNow(), p.sessions)
	}
	sameBytes(t, p)
	p.mu.Lock()
	p.session = func() (*fleetlogv1.GetSessionResponse, error) { // a gap does not retain the batches after it
		return &fleetlogv1.GetSessionResponse{CommittedRanges: toRanges(1, 1, 3, 3), CommittedThrough: 1}, nil
	}
	p.mu.Unlock()
	eventually(t, "two commits", func() bool { return len(committed(events)) == 2 })
	p.mu.Lock()
	p.session = func() (*fleetlogv1.GetSessionResponse, error) {
		return &fleetlogv1.GetSessionResponse{CommittedRanges: toRanges(1, 3), CommittedThrough: 3}, nil
	}
	p.mu.Unlock()
	flushAll(t, client)
}

func TestDistrustsProgressThatCountsDropsOfOthers(t *testing.T) {
	p := newPeer(t)
	p.progress = func(int) *fleetlogv1.Progress { return progress(1<<62, 1<<62-1, 7) }
	p.session = func() (*fleetlogv1.GetSessionResponse, error) {
		return &fleetlogv1.GetSessionResponse{
			CommittedRanges: toRanges(1, 1), DroppedRanges: toRanges(1, math.MaxInt64), CommittedThrough: 1 << 62,
		}, nil
	}
	client, events := open(t, Options{Address: p.address, KeepUntil: UntilCommitted, CommitPoll: 5 * time.Millisecond})
	send(t, client, names(3)...)
	p.wait("several questions", func() bool { return p.sessions > 4 })
	eventually(t, "one commit", func() bool { return len(committed(events)) == 1 })
	if n := pendingCount(client); n != 2 {
		t.Fatalf("%d pending", n)
	}
	p.mu.Lock()
	p.session = func() (*fleetlogv1.GetSessionResponse, error) {
		return &fleetlogv1.GetSessionResponse{CommittedRanges: toRanges(1, 3)}, nil
	}
	p.mu.Unlock()
	flushAll(t, client)
	got := committed(events)
	slices.Sort(got)
	equal(t, got, upTo(3))
}

func TestTrustsProgressThatCountsItsOwnDrops(t *testing.T) {
	p := newPeer(t)
	p.progress = func(int) *fleetlogv1.Progress { return progress(0, 0, 7) }
	p.answer = func(_ int, batch *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if batch.Sequence == 2 && batch.Dropped == nil {
			return refusal(3, "no good", 0), nil
		}
		return &fleetlogv1.Ack{}, nil
	}
	client, events := open(t, Options{Address: p.address, KeepUntil: UntilCommitted})
	send(t, client, names(3)...)
	p.wait("the declaration", func() bool { return slices.Contains(p.sequences(), "2-2") })
	eventually(t, "its ack", func() (is bool) {
		client.loop.call(func() { is = client.main.pending.accepted == 3 })
		return is
	})
	p.report(progress(3, 1, 7))
	flushAll(t, client)
	equal(t, committed(events), []uint64{1, 3})
	if p.sessions != 0 {
		t.Fatalf("%d questions", p.sessions)
	}
}
