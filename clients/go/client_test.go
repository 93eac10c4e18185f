package fleetlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"fleetlog/clients/go/fleetlogv1"
)

func refusal(code int, message string, delay time.Duration) *fleetlogv1.Ack {
	return &fleetlogv1.Ack{Error: &fleetlogv1.BatchError{
		Code: fleetlogv1.BatchErrorCode(code), Field: "batch", Message: message, RetryDelayMs: uint32(delay.Milliseconds()),
	}}
}

// sameBytes asserts that a batch that came again had the same content, and returns the number of batches.
func sameBytes(t *testing.T, p *peer) int {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	first := map[string][]byte{}
	for index, request := range p.seen {
		encoded, err := deterministic.Marshal(request.Batch)
		if err != nil {
			t.Fatal(err)
		}
		name := p.sequences()[index]
		if known, ok := first[name]; ok && !bytes.Equal(known, encoded) {
			t.Fatalf("batch %s came again with other content", name)
		}
		first[name] = encoded
	}
	return len(first)
}

func messagesOf[T Event](events []T, name func(T) SentBatch) []uint64 {
	out := make([]uint64, len(events))
	for index, event := range events {
		out[index] = name(event).Sequence
	}
	return out
}

func acknowledged(r *recorder) []uint64 {
	return messagesOf(eventsOf[Acknowledged](r), func(e Acknowledged) SentBatch { return e.SentBatch })
}

func committed(r *recorder) []uint64 {
	return messagesOf(eventsOf[Committed](r), func(e Committed) SentBatch { return e.SentBatch })
}

func upTo(count int) []uint64 {
	out := make([]uint64, count)
	for index := range out {
		out[index] = uint64(index + 1)
	}
	return out
}

func TestNumbersBatchesAndReportsEachAcknowledgementInOrder(t *testing.T) {
	p := newPeer(t)
	client, events := open(t, Options{Address: p.address, Device: &DeviceInfo{Firmware: "2.1.0"}})
	send(t, client, names(100)...)
	flushAll(t, client)
	equal(t, acknowledged(events), upTo(100))
	if p.streams != 1 {
		t.Fatalf("%d streams", p.streams)
	}
	for index, request := range p.seen {
		if request.Batch.Records[0].Message != fmt.Sprintf("batch-%d", index+1) {
			t.Fatalf("batch %d has %v", index+1, request.Batch)
		}
		if hasDevice := request.Batch.Device.GetFirmware() == "2.1.0"; hasDevice != (index == 0) {
			t.Fatalf("batch %d: %v", index+1, request.Batch.Device)
		}
		if request.UptimeNano == 0 || request.RejectionsMax != 100 {
			t.Fatalf("batch %d: uptime %d, %d rejections", index+1, request.UptimeNano, request.RejectionsMax)
		}
	}
}

func TestSendsAgainWhatIsNotAcknowledgedWhenStreamsAreCut(t *testing.T) {
	p := newPeer(t)
	cuts := 0
	p.answer = func(int, *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if len(p.seen)%7 == 0 && cuts < 10 {
			cuts++
			return nil, status.Error(codes.Unavailable, "cut by the test")
		}
		return &fleetlogv1.Ack{}, nil
	}
	client, events := open(t, Options{Address: p.address})
	send(t, client, names(100)...)
	flushAll(t, client)
	equal(t, acknowledged(events), upTo(100))
	if n := len(eventsOf[Reconnecting](events)); n != 10 {
		t.Fatalf("%d reconnects", n)
	}
	sameBytes(t, p)
}

func TestContinuesWhenTheServerDiesAndComesBack(t *testing.T) {
	p := newPeer(t)
	client, events := open(t, Options{Address: p.address})
	send(t, client, names(50)...)
	p.stop()
	send(t, client, names(50)...)
	p.start(p.address)
	flushAll(t, client)
	equal(t, acknowledged(events), upTo(100))
	if n := sameBytes(t, p); n != 100 {
		t.Fatalf("%d batches", n)
	}
}

func TestSurvivesGoAwayOnBusyAndIdleConnections(t *testing.T) {
	p := newPeer(t)
	client, events := open(t, Options{Address: p.address})
	for turn := range 5 {
		send(t, client, names(20)...)
		if turn%2 == 0 {
			flushAll(t, client)
		}
		old := p.server
		done := make(chan struct{})
		go func() { old.GracefulStop(); close(done) }() // GOAWAY, and the streams go on
		eventually(t, "the port to be free", func() bool {
			listener, err := net.Listen("tcp", p.address)
			if err == nil {
				listener.Close()
			}
			return err == nil
		})
		p.start(p.address)
		eventually(t, "the old server to end", func() bool {
			p.endStreams() // one may have begun just now
			select {
			case <-done:
				return true
			default:
				return false
			}
		})
	}
	flushAll(t, client)
	equal(t, acknowledged(events), upTo(100))
	sameBytes(t, p)
}

func TestAnIdleStreamMayEndUnnoticed(t *testing.T) {
	p := newPeer(t)
	client, events := open(t, Options{Address: p.address})
	for turn := 1; turn <= 3; turn++ {
		send(t, client, "one")
		flushAll(t, client)
		p.endStreams()
		eventually(t, "the stream to end", func() (isOver bool) {
			client.loop.call(func() { isOver = client.main.link == nil })
			return isOver
		})
	}
	equal(t, acknowledged(events), upTo(3))
	if n := len(eventsOf[Reconnecting](events)); n != 0 {
		t.Fatalf("%d reconnects", n)
	}
}

func TestSendsAPostponedBatchAgainWithoutDelayingTheAcksAfterIt(t *testing.T) {
	p := newPeer(t)
	later := map[uint64]int{2: 8, 3: 14}
	p.answer = func(_ int, batch *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if code, ok := later[batch.Sequence]; ok {
			delete(later, batch.Sequence)
			return refusal(code, "later", 20*time.Millisecond), nil
		}
		return &fleetlogv1.Ack{}, nil
	}
	client, events := open(t, Options{Address: p.address})
	send(t, client, names(5)...)
	flushAll(t, client)
	got := acknowledged(events)
	slices.Sort(got)
	equal(t, got, upTo(5))
	if n := len(eventsOf[Postponed](events)); n != 2 || p.streams != 1 {
		t.Fatalf("%d postponed, %d streams", n, p.streams)
	}
}

func TestDeclaresARefusedBatchAsDroppedAndGoesOn(t *testing.T) {
	p := newPeer(t)
	p.answer = func(_ int, batch *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if batch.Sequence == 2 { // the declaration too
			return refusal(3, "no good", 0), nil
		}
		return &fleetlogv1.Ack{}, nil
	}
	client, events := open(t, Options{Address: p.address})
	send(t, client, names(3)...)
	flushAll(t, client)
	equal(t, acknowledged(events), []uint64{1, 3})
	if refused := eventsOf[Refused](events); len(refused) != 1 || refused[0].Reason != "no good" {
		t.Fatalf("%v", refused)
	}
	equal(t, p.sequencesNow(), []string{"1", "2", "3", "2-2"})
}

func TestSendsDeviceInfoAgainAfterItsBatchWasRefusedUnlessItIsTheReason(t *testing.T) {
	for field, wanted := range map[string][]bool{
		"batch.attributes":      {true, true, false},
		"batch.device.firmware": {true, false, false},
	} {
		p := newPeer(t)
		p.answer = func(_ int, batch *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
			if batch.Sequence > 1 || batch.Dropped != nil {
				return &fleetlogv1.Ack{}, nil
			}
			ack := refusal(3, "no good", 0)
			ack.Error.Field = field
			return ack, nil
		}
		client, _ := open(t, Options{Address: p.address, Device: &DeviceInfo{Firmware: "2.1.0"}})
		for range 3 {
			send(t, client, "text")
			flushAll(t, client)
		}
		var carried []bool
		p.mu.Lock()
		for _, request := range p.seen {
			if request.Batch.Dropped == nil {
				carried = append(carried, request.Batch.Device.GetFirmware() == "2.1.0")
			}
		}
		p.mu.Unlock()
		equal(t, carried, wanted)
	}
}

func TestReportsRejectedRecords(t *testing.T) {
	p := newPeer(t)
	p.answer = func(int, *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		rejection := &fleetlogv1.Rejection{Index: 1, Reason: "message: NUL"}
		return &fleetlogv1.Ack{Accepted: 1, Rejected: 1, Rejections: []*fleetlogv1.Rejection{rejection}}, nil
	}
	client, events := open(t, Options{Address: p.address})
	if _, err := client.Send(t.Context(), Batch{Records: []Record{{Message: "a"}, {Message: "b\x00"}}}); err != nil {
		t.Fatal(err)
	}
	flushAll(t, client)
	ack := eventsOf[Acknowledged](events)[0]
	if ack.Accepted != 1 || ack.Rejected != 1 || ack.Rejections[0] != (Rejection{1, "message: NUL"}) {
		t.Fatalf("%+v", ack)
	}
}

func TestKeepsAtMostTheLimitInFlight(t *testing.T) {
	p := newPeer(t)
	p.answer = func(int, *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) { return nil, errSilence }
	client, _ := open(t, Options{Address: p.address, InFlightBatches: 3, PendingBatches: 5})
	send(t, client, names(5)...)
	p.wait("three batches", func() bool { return len(p.seen) == 3 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := client.Send(ctx, Batch{Records: []Record{{Message: "six"}}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := client.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "5 batches") {
		t.Fatal(err)
	}
	equal(t, p.sequencesNow(), []string{"1", "2", "3"})
	if err := client.Close(); err == nil || !strings.Contains(err.Error(), "5 batches that have no outcome") {
		t.Fatal(err)
	}
	if _, err := client.Send(t.Context(), Batch{Records: []Record{{Message: "six"}}}); err != ErrClosed {
		t.Fatal(err)
	}
}

func TestReplacesAConnectionThatAcknowledgesNothing(t *testing.T) {
	p := newPeer(t)
	p.answer = func(stream int, _ *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if stream == 0 {
			return nil, errSilence
		}
		return &fleetlogv1.Ack{}, nil
	}
	client, events := open(t, Options{Address: p.address, AckTimeout: 300 * time.Millisecond})
	send(t, client, "one")
	flushAll(t, client)
	if reason := eventsOf[Reconnecting](events)[0].Reason; reason != "no acknowledgement within 300ms" {
		t.Fatal(reason)
	}
}

func TestEndsAStreamWhoseServerBreaksTheProtocol(t *testing.T) {
	wrong := map[string]func(sequence uint64) *fleetlogv1.Ack{
		"acknowledged batch 2, expected 1": func(n uint64) *fleetlogv1.Ack { return &fleetlogv1.Ack{Sequence: n + 1} },
	}
	for reason, ack := range wrong {
		p := newPeer(t)
		p.answer = func(stream int, batch *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
			if stream == 0 {
				return ack(batch.Sequence), nil
			}
			return &fleetlogv1.Ack{}, nil
		}
		client, events := open(t, Options{Address: p.address})
		send(t, client, "one")
		flushAll(t, client)
		if got := eventsOf[Reconnecting](events)[0].Reason; !strings.Contains(got, reason) {
			t.Fatal(got)
		}
	}
}

func TestEndsAStreamWhoseServerAcknowledgesWhatItDoesNotRead(t *testing.T) {
	p := newPeer(t)
	streams := make(chan *openStream, 1)
	release := make(chan struct{})
	defer close(release)
	p.answer = func(stream int, batch *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if stream == 0 && batch.Sequence == 1 {
			streams <- p.open[0]
			<-release
			return nil, status.Error(codes.Unavailable, "the end of the test")
		}
		return &fleetlogv1.Ack{}, nil
	}
	client, events := open(t, Options{Address: p.address, InFlightBatches: 2})
	message := strings.Repeat("x", 100_000) // more than HTTP/2's window takes before the server reads
	send(t, client, message)
	first := <-streams
	hasEnded := func() bool { return len(eventsOf[Reconnecting](events)) > 0 }
	for sequence := uint64(1); sequence <= 20 && !hasEnded(); sequence++ {
		ack := &fleetlogv1.StreamLogsResponse{Ack: &fleetlogv1.Ack{Sequence: sequence, Accepted: 1}}
		if err := first.stream.Send(ack); err != nil {
			break // the client ended the stream
		}
		eventually(t, "the acknowledgement", func() bool { return len(acknowledged(events)) >= int(sequence) || hasEnded() })
		send(t, client, message)
	}
	eventually(t, "the end of the stream", hasEnded)
	if reason := eventsOf[Reconnecting](events)[0].Reason; !strings.Contains(reason, "before they were sent") {
		t.Fatal(reason)
	}
}

func TestTreatsUnknownErrorsAsTransientAndDropsNothing(t *testing.T) {
	p := newPeer(t)
	codesLeft := []int{0, 2, 13, 99}
	p.answer = func(int, *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if len(codesLeft) == 0 {
			return &fleetlogv1.Ack{}, nil
		}
		code := codesLeft[0]
		codesLeft = codesLeft[1:]
		return refusal(code, "?", 0), nil
	}
	client, events := open(t, Options{Address: p.address})
	send(t, client, "one")
	flushAll(t, client)
	if n := len(eventsOf[Postponed](events)); n != 4 {
		t.Fatalf("%d postponed", n)
	}
}

func TestEveryStatusIsTransient(t *testing.T) {
	p := newPeer(t)
	p.answer = func(stream int, _ *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if stream < 17 {
			return nil, status.Error(codes.Code(max(1, stream)), "refused")
		}
		return &fleetlogv1.Ack{}, nil
	}
	client, events := open(t, Options{Address: p.address, BackoffBase: time.Nanosecond, BackoffMax: time.Nanosecond})
	send(t, client, "one")
	flushAll(t, client)
	equal(t, acknowledged(events), upTo(1))
	if n := len(eventsOf[Reconnecting](events)); n != 17 {
		t.Fatalf("%d reconnects", n)
	}
}

func TestWaitsAsLongAsAStatusAsksButAtMostAMinute(t *testing.T) {
	p := newPeer(t)
	p.answer = func(int, *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		s, err := status.New(codes.ResourceExhausted, "full").WithDetails(
			&errdetails.RetryInfo{RetryDelay: durationpb.New(1000 * time.Hour)})
		if err != nil {
			t.Error(err)
		}
		return nil, s.Err()
	}
	client, events := open(t, Options{Address: p.address})
	send(t, client, "one")
	eventually(t, "the refusal", func() bool { return len(eventsOf[Reconnecting](events)) == 1 })
	if delay := eventsOf[Reconnecting](events)[0].Delay; delay != time.Minute {
		t.Fatal(delay)
	}
}

func TestDropsTheOldestUnwrittenBatchesAndDeclaresThem(t *testing.T) {
	p := newPeer(t)
	silent := true
	p.answer = func(int, *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error) {
		if silent {
			return nil, errSilence
		}
		return &fleetlogv1.Ack{}, nil
	}
	client, events := open(t, Options{
		Address: p.address, InFlightBatches: 2, PendingBatches: 8, OnFull: DropOldest, AckTimeout: time.Minute,
		Device: &DeviceInfo{Firmware: "1"},
	})
	send(t, client, names(2)...)
	p.wait("two batches", func() bool { return len(p.seen) == 2 })
	send(t, client, names(18)...)
	p.mu.Lock()
	silent = false
	p.mu.Unlock()
	p.endStreams()
	flushAll(t, client)
	dropped := eventsOf[Dropped](events)
	if len(dropped) == 0 || dropped[0].Sequence != 3 {
		t.Fatalf("%v", dropped)
	}
	if got := len(acknowledged(events)) + len(dropped); got != 20 {
		t.Fatalf("%d outcomes", got)
	}
	// Every number from 1 to 20 arrived, in a batch or in one declaration.
	arrived := ranges{}
	for _, request := range p.seen {
		last := request.Batch.Sequence
		if request.Batch.Dropped != nil {
			last = request.Batch.Dropped.LastSequence
		}
		arrived.add(request.Batch.Sequence, last)
	}
	if fmt.Sprint(arrived) != "[[1 20]]" {
		t.Fatalf("arrived: %v", arrived)
	}
}

func TestLogSendsByCountBytesAndAge(t *testing.T) {
	p := newPeer(t)
	client, _ := open(t, Options{Address: p.address, BatchRecords: 10, BatchBytes: 2000, BatchAge: 50 * time.Millisecond})
	log := func(message string) {
		t.Helper()
		if err := client.Log(t.Context(), Record{Message: message, Severity: SeverityWarn}); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		log("short")
	}
	p.wait("a batch by count", func() bool { return len(p.seen) == 1 && len(p.seen[0].Batch.Records) == 10 })
	log(strings.Repeat("x", 1500))
	log(strings.Repeat("x", 1500))
	p.wait("a batch by bytes", func() bool { return len(p.seen) >= 2 && len(p.seen[1].Batch.Records) == 1 })
	p.wait("a batch by age", func() bool { return len(p.seen) == 3 && len(p.seen[2].Batch.Records) == 1 })
	record := p.seen[0].Batch.Records[0]
	if record.TimeUnixNano == 0 || record.Severity != SeverityWarn {
		t.Fatalf("%v", record)
	}
	if err := client.Log(t.Context(), Record{Message: strings.Repeat("x", 2<<20)}); err == nil {
		t.Fatal("took a record of 2 MiB")
	}
}

func TestRefusesInvalidOptionsAndBatches(t *testing.T) {
	for want, options := range map[string]Options{
		"DeviceID":                {DeviceID: "no spaces"},
		"InFlightBatches":         {DeviceID: "a", InFlightBatches: 33},
		"BatchRecords":            {DeviceID: "a", BatchRecords: -1},
		"Device.Firmware":         {DeviceID: "a", Device: &DeviceInfo{Firmware: strings.Repeat("x", 257)}},
		"Attributes: the name \"": {DeviceID: "a", Attributes: []Attribute{{Key: strings.Repeat("x", 129)}}},
	} {
		if _, err := Open(options); err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%v: wanted an error about %s", err, want)
		}
	}
	client, _ := open(t, Options{})
	for _, batch := range []Batch{{}, {Records: make([]Record, 10_001)}, {Records: []Record{{Message: strings.Repeat("x", 1<<20)}}}} {
		if sequence, err := client.Send(t.Context(), batch); err == nil || sequence != 0 {
			t.Fatalf("sent %d", sequence)
		}
	}
}

func TestALargestBatchStaysWithinAMebibyte(t *testing.T) {
	p := newPeer(t)
	client, _ := open(t, Options{
		Address: p.address, DeviceID: strings.Repeat("d", 128), Device: &DeviceInfo{Site: strings.Repeat("s", 256)},
	})
	size := batchBytesMax - headerBytesMax - 2*framingBytes
	send(t, client, strings.Repeat("x", size))
	flushAll(t, client)
	batch := p.seen[0].Batch
	if n := proto.Size(batch); n > batchBytesMax || n < batchBytesMax-2*headerBytesMax {
		t.Fatalf("%d bytes", n)
	}
}
