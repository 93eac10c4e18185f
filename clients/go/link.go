package fleetlog

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"fleetlog/clients/go/fleetlogv1"
)

// rawRequest is an encoded StreamLogsRequest: the bytes of the batch are the same every time it is sent.
type rawRequest struct {
	batch  []byte
	suffix []byte
}

// rawCodec passes a rawRequest on, and is protobuf for all else.
type rawCodec struct{ encoding.CodecV2 }

func newRawCodec() rawCodec { return rawCodec{encoding.GetCodecV2(grpcproto.Name)} }

func (c rawCodec) Marshal(message any) (mem.BufferSlice, error) {
	if raw, ok := message.(*rawRequest); ok {
		return mem.BufferSlice{mem.SliceBuffer(raw.batch), mem.SliceBuffer(raw.suffix)}, nil
	}
	return c.CodecV2.Marshal(message)
}

// link is one StreamLogs call from start to end. The server acknowledges every batch once and in the order written; an
// acknowledgement out of order, or none for too long, ends the call. Its fields belong to the loop.
type link struct {
	owner       *delivery
	connection  *grpc.ClientConn
	cancel      context.CancelFunc
	isConnected bool
	queue       chan []byte // its capacity is the limit in flight: only a server that acknowledges what it did not read fills it
	inFlight    []*entry
	bytes       int
	epoch       uint64 // 0: not known yet
	hasEpoch    bool
	ackTimer    *timer
	// reason is our own for cancelling, which the status CANCELLED would hide.
	reason string
}

var streamDescription = &grpc.StreamDesc{StreamName: "StreamLogs", ServerStreams: true, ClientStreams: true}

// linkEnd says why a link ended.
type linkEnd struct {
	code   codes.Code
	reason string
	delay  time.Duration // how long the server asks to wait; 0: it does not
}

func openLink(owner *delivery) *link {
	ctx, cancel := context.WithCancel(owner.client.ctx)
	l := &link{
		owner: owner, connection: owner.client.connection, cancel: cancel,
		queue: make(chan []byte, owner.client.options.InFlightBatches+1),
	}
	var subscription *fleetlogv1.StreamLogsRequest
	if owner.commits != nil {
		subscription = &fleetlogv1.StreamLogsRequest{ReportCommitted: owner.session}
	}
	go l.run(ctx, subscription)
	return l
}

func (l *link) run(ctx context.Context, subscription *fleetlogv1.StreamLogsRequest) {
	client := l.owner.client
	defer l.cancel()
	end := func(err error) { client.loop.post(func() { l.end(err) }) }
	stream, err := l.connection.NewStream(ctx, streamDescription, fleetlogv1.IngestService_StreamLogs_FullMethodName)
	if err != nil {
		end(err)
		return
	}
	client.loop.post(func() {
		l.isConnected = true
		l.owner.pump()
	})
	go l.writeAll(ctx, stream, subscription)
	for {
		response := &fleetlogv1.StreamLogsResponse{}
		if err := stream.RecvMsg(response); err != nil {
			end(err)
			return
		}
		client.loop.post(func() { l.receive(response) })
	}
}

// writeAll ends when a write fails; the reader then learns why.
func (l *link) writeAll(ctx context.Context, stream grpc.ClientStream, subscription *fleetlogv1.StreamLogsRequest) {
	if subscription != nil && stream.SendMsg(subscription) != nil {
		return
	}
	for {
		select {
		case batch, isOpen := <-l.queue:
			if !isOpen {
				_ = stream.CloseSend()
				return
			}
			if stream.SendMsg(&rawRequest{batch, encodeSuffix(l.owner.uptimeNano())}) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// isFull: before there is a connection nothing is written, so that it can still be dropped.
func (l *link) isFull() bool {
	options := &l.owner.client.options
	return !l.isConnected || len(l.inFlight) >= options.InFlightBatches || l.bytes >= options.InFlightBytes
}

func (l *link) write(e *entry, request []byte) {
	l.inFlight = append(l.inFlight, e)
	l.bytes += e.size
	if len(l.inFlight) == 1 {
		l.restartAckTimer()
	}
	select {
	case l.queue <- request:
	default: // the loop must not wait; the batch is sent again on the next link
		l.abort("the server acknowledged batches before they were sent")
	}
}

// finish announces that nothing more is written; the server then ends the call.
func (l *link) finish() { close(l.queue) }

func (l *link) abort(reason string) {
	if l.reason == "" {
		l.reason = reason
	}
	l.cancel()
}

// receive: a response with neither field is a heartbeat.
func (l *link) receive(response *fleetlogv1.StreamLogsResponse) {
	if l.reason != "" {
		return
	}
	if progress := response.GetProgress(); progress != nil {
		l.receiveProgress(progress)
	}
	if ack := response.GetAck(); ack != nil && l.reason == "" {
		l.receiveAck(ack)
	}
}

func (l *link) receiveProgress(progress *fleetlogv1.Progress) {
	if l.hasEpoch && progress.Epoch != l.epoch {
		l.abort(fmt.Sprintf("the server changed the epoch of a stream from %d to %d", l.epoch, progress.Epoch))
		return
	}
	l.epoch, l.hasEpoch = progress.Epoch, true
	l.owner.onProgress(progress)
}

func (l *link) receiveAck(ack *fleetlogv1.Ack) {
	if len(l.inFlight) == 0 || !acknowledges(ack, l.inFlight[0]) {
		expected := "none"
		if len(l.inFlight) > 0 {
			expected = fmt.Sprint(l.inFlight[0].sequence)
		}
		l.abort(fmt.Sprintf("the server acknowledged batch %d, expected %s", ack.Sequence, expected))
		return
	}
	e := l.inFlight[0]
	l.inFlight = l.inFlight[1:]
	l.bytes -= e.size
	l.restartAckTimer()
	l.owner.onAck(e, ack)
}

// acknowledges: a batch whose sequence the server could not read is refused as number 0.
func acknowledges(ack *fleetlogv1.Ack, e *entry) bool {
	return ack.Sequence == e.sequence || ack.Sequence == 0 && ack.Error != nil
}

func (l *link) restartAckTimer() {
	l.ackTimer.stop()
	if len(l.inFlight) == 0 {
		return
	}
	timeout := l.owner.client.options.AckTimeout
	l.ackTimer = l.owner.client.loop.after(timeout, func() {
		l.abort(fmt.Sprintf("no acknowledgement within %v", timeout))
	})
}

// end follows the last acknowledgement that arrived.
func (l *link) end(err error) {
	l.ackTimer.stop()
	if l.reason == "" {
		l.owner.onEnd(l, describeEnd(err))
		return
	}
	l.owner.client.replaceConnection(l.connection)
	l.owner.onEnd(l, linkEnd{code: codes.Unavailable, reason: l.reason})
}

func describeEnd(err error) linkEnd {
	if err == io.EOF {
		return linkEnd{code: codes.OK, reason: "the server ended the stream"}
	}
	s := status.Convert(err)
	end := linkEnd{code: s.Code(), reason: s.Message()}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			end.delay = max(0, info.GetRetryDelay().AsDuration())
		}
	}
	return end
}
