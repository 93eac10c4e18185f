// A device made of generated code alone, by grpc-go or connect-go: behave CLIENT ADDRESS DEVICE BEHAVIOUR
// (see test/behaviours.test.ts).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	pb "fleetlog.test/behave/gen/fleetlog/v1"
)

const timeout = 60 * time.Second

var device = os.Args[3]

// api is what grpc-go and connect-go have in common.
type api interface {
	push(ctx context.Context, batch *pb.LogBatch, gzip bool) (*pb.Ack, error)
	stream(ctx context.Context, gzip bool) stream
	limits(ctx context.Context) (*pb.GetLimitsResponse, error)
	// failure returns the code of an error, and the first violation of its google.rpc.BadRequest, if any.
	failure(err error) (code int, violation *errdetails.BadRequest_FieldViolation)
}

type stream interface {
	Send(*pb.StreamLogsRequest) error
	Receive() (*pb.StreamLogsResponse, error)
	CloseSend() error
}

type result map[string]any

func main() {
	clients := map[string]func(address string) api{"grpc-go": newGrpc, "connect-go": newConnect}
	behaviours := map[string]func(api) (result, error){
		"unary": unary, "pipelined": pipelined, "deadline": deadline, "cancel": cancel, "gzip": gzipped,
		"again": again, "reencoded": reencoded, "invalid": invalid, "moved": moved, "limits": limits,
	}
	found, err := behaviours[os.Args[4]](clients[os.Args[1]](os.Args[2]))
	if err != nil {
		log.Fatal(err)
	}
	line, _ := json.Marshal(found)
	fmt.Println(string(line))
}

func makeBatch(sequence uint64, records int) *pb.LogBatch {
	batch := &pb.LogBatch{DeviceId: device, SessionId: "boot-1", Sequence: sequence}
	for index := range records {
		batch.Records = append(batch.Records, &pb.LogRecord{
			TimeUnixNano: 1_767_225_600_000_000_000 + sequence,
			Severity:     pb.Severity_SEVERITY_INFO,
			Message:      fmt.Sprintf("batch %d record %d", sequence, index),
			Attributes: []*pb.Attribute{
				{Key: "zone", Value: &pb.Attribute_StringValue{StringValue: "north"}},
				{Key: "count", Value: &pb.Attribute_IntValue{IntValue: -int64(sequence)}},
				{Key: "ratio", Value: &pb.Attribute_DoubleValue{DoubleValue: 0.5}},
				{Key: "ok", Value: &pb.Attribute_BoolValue{BoolValue: true}},
			},
		})
	}
	return batch
}

func makeBatches(from, to uint64, records int) []*pb.LogBatch {
	var batches []*pb.LogBatch
	for sequence := from; sequence <= to; sequence++ {
		batches = append(batches, makeBatch(sequence, records))
	}
	return batches
}

// sendAll sends the batches on one stream, and calls onAck for each acknowledgement, which arrive meanwhile.
func sendAll(open stream, batches []*pb.LogBatch, pause time.Duration, onAck func(*pb.Ack)) error {
	go func() {
		for _, batch := range batches {
			if open.Send(&pb.StreamLogsRequest{Batch: batch}) != nil {
				return // Receive has the reason
			}
			time.Sleep(pause)
		}
		_ = open.CloseSend()
	}()
	for {
		response, err := open.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if response.Ack != nil {
			onAck(response.Ack)
		}
	}
}

func withTimeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), timeout)
}

func unary(client api) (result, error) {
	ctx, cancel := withTimeout()
	defer cancel()
	ack, err := client.push(ctx, makeBatch(1, 3), false)
	return result{"accepted": ack.GetAccepted()}, err
}

func pipelined(client api) (result, error) {
	ctx, cancel := withTimeout()
	defer cancel()
	var sequences []uint64
	err := sendAll(client.stream(ctx, false), makeBatches(1, 1000, 1), 0, func(ack *pb.Ack) {
		sequences = append(sequences, ack.Sequence)
	})
	inOrder := slices.IsSorted(sequences) && len(slices.Compact(slices.Clone(sequences))) == 1000
	return result{"acks": len(sequences), "in_order": inOrder}, err
}

func deadline(client api) (result, error) {
	late, cancelLate := context.WithTimeout(context.Background(), time.Microsecond)
	defer cancelLate()
	_, failure := client.push(late, makeBatch(1, 1), false)
	code, _ := client.failure(failure)
	ctx, cancel := withTimeout()
	defer cancel()
	ack, err := client.push(ctx, makeBatch(1, 1), false)
	return result{"code": code, "accepted": ack.GetAccepted()}, err
}

func cancel(client api) (result, error) {
	batches := makeBatches(1, 50, 1)
	ctx, cancel := withTimeout()
	defer cancel()
	canceled, cancelStream := context.WithCancel(ctx)
	defer cancelStream()
	open := client.stream(canceled, false)
	for _, batch := range batches {
		if err := open.Send(&pb.StreamLogsRequest{Batch: batch}); err != nil {
			return nil, err
		}
	}
	for range 5 {
		if _, err := open.Receive(); err != nil {
			return nil, err
		}
	}
	cancelStream()
	var failure error
	for failure == nil {
		_, failure = open.Receive()
	}
	code, _ := client.failure(failure)
	acks := 0
	err := sendAll(client.stream(ctx, false), batches, 0, func(*pb.Ack) { acks++ })
	return result{"code": code, "acks": acks}, err
}

func gzipped(client api) (result, error) {
	ctx, cancel := withTimeout()
	defer cancel()
	ack, err := client.push(ctx, makeBatch(1, 100), true)
	if err != nil {
		return nil, err
	}
	accepted := ack.Accepted
	err = sendAll(client.stream(ctx, true), makeBatches(2, 11, 100), 0, func(ack *pb.Ack) { accepted += ack.Accepted })
	return result{"accepted": accepted}, err
}

func again(client api) (result, error) {
	batch := makeBatch(1, 10)
	return pushEach(client, batch, batch, batch)
}

func reencoded(client api) (result, error) {
	batch := makeBatch(1, 10)
	bytes, err := proto.Marshal(batch)
	if err != nil {
		return nil, err
	}
	decoded := &pb.LogBatch{}
	if err := proto.Unmarshal(bytes, decoded); err != nil {
		return nil, err
	}
	for _, record := range decoded.Records {
		slices.Reverse(record.Attributes)
	}
	return pushEach(client, batch, decoded)
}

func pushEach(client api, batches ...*pb.LogBatch) (result, error) {
	ctx, cancel := withTimeout()
	defer cancel()
	var accepted []uint32
	for _, batch := range batches {
		ack, err := client.push(ctx, batch, false)
		if err != nil {
			return nil, err
		}
		accepted = append(accepted, ack.Accepted)
	}
	return result{"accepted": accepted}, nil
}

func invalid(client api) (result, error) {
	ctx, cancel := withTimeout()
	defer cancel()
	bad := makeBatch(1, 1)
	bad.DeviceId = "a b"
	_, failure := client.push(ctx, bad, false)
	code, violation := client.failure(failure)
	var acks []*pb.Ack
	err := sendAll(client.stream(ctx, false), []*pb.LogBatch{bad, makeBatch(1, 1)}, 0, func(ack *pb.Ack) {
		acks = append(acks, ack)
	})
	if err != nil || len(acks) != 2 {
		return nil, fmt.Errorf("%d acks: %w", len(acks), err)
	}
	refused := acks[0].Error
	return result{
		"code": code, "field": violation.GetField(), "description": violation.GetDescription(),
		"stream": []any{refused.GetCode(), refused.GetField(), acks[1].Accepted},
	}, nil
}

// moved keeps what is not acknowledged, and sends it again on a new stream when the server ends the old one.
func moved(client api) (result, error) {
	pending := makeBatches(1, 400, 1)
	reconnects := 0
	for len(pending) > 0 {
		ctx, cancel := withTimeout()
		err := sendAll(client.stream(ctx, false), slices.Clone(pending), 30*time.Millisecond, func(ack *pb.Ack) {
			if ack.Error != nil || ack.Sequence != pending[0].Sequence {
				log.Fatalf("unexpected ack: %v", ack)
			}
			pending = pending[1:]
		})
		cancel()
		if err == nil {
			continue
		}
		if code, _ := client.failure(err); code != 14 || reconnects == 100 {
			return nil, err
		}
		reconnects++
		time.Sleep(100 * time.Millisecond)
	}
	return result{"reconnects": reconnects, "left": len(pending)}, nil
}

func limits(client api) (result, error) {
	ctx, cancel := withTimeout()
	defer cancel()
	found, err := client.limits(ctx)
	hasTime := found.GetServerTimeUnixNano() > 1_767_225_600_000_000_000
	return result{"records_max": found.GetRecordsMax(), "has_time": hasTime}, err
}
