package fleetlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"fleetlog/clients/go/fleetlogv1"
)

// peer speaks the real protocol on a real socket and behaves as the test demands, for cases that the real server shows only
// by chance: a stream cut between two acknowledgements, errors, silence.
type peer struct {
	fleetlogv1.UnimplementedIngestServiceServer
	t       *testing.T
	address string
	// answer returns the acknowledgement of a batch, errSilence, or the error that ends the stream. Called with the lock.
	answer func(stream int, batch *fleetlogv1.LogBatch) (*fleetlogv1.Ack, error)
	// progress is sent to a stream that subscribes; nil: none.
	progress func(stream int) *fleetlogv1.Progress
	session  func() (*fleetlogv1.GetSessionResponse, error)

	mu       sync.Mutex
	changed  *sync.Cond
	server   *grpc.Server
	seen     []*fleetlogv1.StreamLogsRequest
	streams  int
	sessions int // calls of GetSession
	open     map[int]*openStream
}

type openStream struct {
	stream grpc.BidiStreamingServer[fleetlogv1.StreamLogsRequest, fleetlogv1.StreamLogsResponse]
	end    chan error
}

var errSilence = errors.New("silence")

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{t: t, open: map[int]*openStream{}}
	p.changed = sync.NewCond(&p.mu)
	p.start("127.0.0.1:0")
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *peer) start(address string) {
	p.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.address = listener.Addr().String()
	p.server = grpc.NewServer()
	fleetlogv1.RegisterIngestServiceServer(p.server, p)
	go func() { _ = p.server.Serve(listener) }()
}

// stop ends every connection at once.
func (p *peer) stop() { p.server.Stop() }

func (p *peer) StreamLogs(
	stream grpc.BidiStreamingServer[fleetlogv1.StreamLogsRequest, fleetlogv1.StreamLogsResponse],
) error {
	p.mu.Lock()
	number := p.streams
	p.streams++
	own := &openStream{stream, make(chan error, 1)}
	p.open[number] = own
	p.changed.Broadcast()
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.open, number)
		p.changed.Broadcast()
		p.mu.Unlock()
	}()
	go func() { own.end <- p.serve(number, stream) }()
	return <-own.end
}

func (p *peer) serve(number int, stream grpc.BidiStreamingServer[fleetlogv1.StreamLogsRequest, fleetlogv1.StreamLogsResponse]) error {
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		p.mu.Lock()
		err = p.handle(number, stream, request)
		p.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (p *peer) handle(
	number int, stream grpc.BidiStreamingServer[fleetlogv1.StreamLogsRequest, fleetlogv1.StreamLogsResponse],
	request *fleetlogv1.StreamLogsRequest,
) error {
	if request.ReportCommitted != nil && p.progress != nil {
		if err := stream.Send(&fleetlogv1.StreamLogsResponse{Progress: p.progress(number)}); err != nil {
			return err
		}
	}
	if request.Batch == nil {
		return nil
	}
	p.seen = append(p.seen, request)
	p.changed.Broadcast()
	ack := &fleetlogv1.Ack{}
	if p.answer != nil {
		var err error
		if ack, err = p.answer(number, request.Batch); err == errSilence {
			return nil
		} else if err != nil {
			return err
		}
	}
	if ack.Sequence == 0 && ack.Error == nil {
		ack.Sequence = request.Batch.Sequence
	}
	if ack.Error == nil && ack.Accepted == 0 {
		ack.Accepted = uint32(len(request.Batch.Records))
	}
	return stream.Send(&fleetlogv1.StreamLogsResponse{Ack: ack})
}

func (p *peer) GetSession(context.Context, *fleetlogv1.GetSessionRequest) (*fleetlogv1.GetSessionResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions++
	p.changed.Broadcast()
	if p.session == nil {
		return nil, status.Error(codes.Unavailable, "no consumer answered")
	}
	return p.session()
}

// report sends progress to every open stream.
func (p *peer) report(progress *fleetlogv1.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, own := range p.open {
		_ = own.stream.Send(&fleetlogv1.StreamLogsResponse{Progress: progress})
	}
}

// endStreams ends every open stream, as a server does with old ones.
func (p *peer) endStreams() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, own := range p.open {
		select {
		case own.end <- status.Error(codes.Unavailable, "the stream is old"):
		default: // it ends already
		}
	}
}

// wait returns when the condition holds, which is called with the lock.
func (p *peer) wait(what string, condition func() bool) {
	p.t.Helper()
	timeout := time.AfterFunc(waitMax, func() {
		p.mu.Lock()
		p.changed.Broadcast()
		p.mu.Unlock()
	})
	defer timeout.Stop()
	until := time.Now().Add(waitMax)
	p.mu.Lock()
	defer p.mu.Unlock()
	for !condition() {
		if !time.Now().Before(until) {
			p.t.Fatalf("waited in vain for %s", what)
		}
		p.changed.Wait()
	}
}

// A busy machine may take its time.
const waitMax = 60 * time.Second

// sequences of the batches that arrived, "2-5" for a declaration. Call with the lock.
func (p *peer) sequences() []string {
	var out []string
	for _, request := range p.seen {
		name := fmt.Sprint(request.Batch.Sequence)
		if dropped := request.Batch.Dropped; dropped != nil {
			name += fmt.Sprintf("-%d", dropped.LastSequence)
		}
		out = append(out, name)
	}
	return out
}

// sequencesNow is sequences, without the lock.
func (p *peer) sequencesNow() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sequences()
}

// recorder collects the events of a client.
type recorder struct {
	mu     sync.Mutex
	events []Event
}

func (r *recorder) add(event Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

func eventsOf[T Event](r *recorder) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []T
	for _, event := range r.events {
		if event, ok := event.(T); ok {
			out = append(out, event)
		}
	}
	return out
}

// eventually returns when the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for until := time.Now().Add(waitMax); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// open returns a client with a short backoff, and its events.
func open(t *testing.T, options Options) (*Client, *recorder) {
	t.Helper()
	if options.DeviceID == "" {
		options.DeviceID = "device"
	}
	if options.BackoffBase == 0 {
		options.BackoffBase, options.BackoffMax = 5*time.Millisecond, 50*time.Millisecond
	}
	events := &recorder{}
	options.OnEvent = events.add
	client, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, events
}

func send(t *testing.T, client *Client, messages ...string) {
	t.Helper()
	for _, message := range messages {
		if _, err := client.Send(t.Context(), Batch{Records: []Record{{Message: message}}}); err != nil {
			t.Fatal(err)
		}
	}
}

func flushAll(t *testing.T, client *Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitMax)
	defer cancel()
	if err := client.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func names(count int) []string {
	out := make([]string, count)
	for index := range out {
		out[index] = fmt.Sprintf("batch-%d", index+1)
	}
	return out
}

func equal[T comparable](t *testing.T, got, wanted []T) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Fatalf("got %v, wanted %v", got, wanted)
	}
}
