// An ordinary Go device: it keeps the messages that are not acknowledged, and after a broken connection sends those
// messages again. It keeps attributes in a map, so they come in another order then.
//
//	client ADDRESS DEVICE SESSION BATCHES RECORDS CUT_AFTER
//
// With COMPRESSION=gzip in the environment it compresses every message.
//
// Sends all batches on one stream, reads CUT_AFTER acknowledgements, says so on standard output and waits for a line on
// standard input; then it cuts the connection and sends the others again on a new one. Prints what it did as JSON.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/proto"

	fleetlogv1 "fleetlog.test/client/gen/fleetlog/v1"
)

const deadline = 150 * time.Second

func main() {
	if len(os.Args) != 7 {
		log.Fatal("usage: client ADDRESS DEVICE SESSION BATCHES RECORDS CUT_AFTER")
	}
	address, device, session := os.Args[1], os.Args[2], os.Args[3]
	batches := makeBatches(device, session, number(os.Args[4]), number(os.Args[5]))
	cutAfter := number(os.Args[6])

	var first bytes.Buffer
	for _, batch := range batches {
		first.Write(encoded(batch))
	}
	pending := batches
	link := connect(address)
	link.send(pending)
	pending = link.acknowledged(pending, cutAfter)
	fmt.Println("acknowledged", cutAfter)
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		log.Fatal(err)
	}
	link.cut()

	changed := 0
	for _, batch := range pending {
		for index, record := range batch.Records {
			record.Attributes = attributes(index)
		}
		if !bytes.Contains(first.Bytes(), encoded(batch)) {
			changed++
		}
	}
	again := len(pending)
	link = connect(address)
	link.send(pending)
	pending = link.acknowledged(pending, again)
	link.cut()
	result, err := json.Marshal(map[string]int{"sentAgain": again, "changedBytes": changed, "left": len(pending)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(result))
}

func makeBatches(device, session string, count, records int) []*fleetlogv1.LogBatch {
	batches := make([]*fleetlogv1.LogBatch, count)
	for at := range batches {
		batch := &fleetlogv1.LogBatch{DeviceId: device, SessionId: session, Sequence: uint64(at + 1)}
		for index := range records {
			batch.Records = append(batch.Records, &fleetlogv1.LogRecord{
				TimeUnixNano: uint64(time.Now().UnixNano()),
				Severity:     fleetlogv1.Severity_SEVERITY_INFO,
				Message:      fmt.Sprintf("record %d of batch %d", index, at+1),
				Attributes:   attributes(index),
			})
		}
		batches[at] = batch
	}
	return batches
}

func attributes(index int) []*fleetlogv1.Attribute {
	var list []*fleetlogv1.Attribute
	for key, value := range map[string]string{"zone": "north", "build": "1.2.3", "count": strconv.Itoa(index)} {
		text := &fleetlogv1.Attribute_StringValue{StringValue: value}
		list = append(list, &fleetlogv1.Attribute{Key: key, Value: text})
	}
	return list
}

func encoded(batch *fleetlogv1.LogBatch) []byte {
	out, err := proto.Marshal(batch)
	if err != nil {
		log.Fatal(err)
	}
	return out
}

// link is one stream on a connection of its own.
type link struct {
	stream grpc.BidiStreamingClient[fleetlogv1.StreamLogsRequest, fleetlogv1.StreamLogsResponse]
	socket net.Conn
	cancel context.CancelFunc
}

func connect(address string) *link {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	made := &link{cancel: cancel}
	dial := func(ctx context.Context, target string) (net.Conn, error) {
		socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
		made.socket = socket
		return socket, err
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dial),
	}
	if os.Getenv("COMPRESSION") == gzip.Name {
		options = append(options, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	connection, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		log.Fatal(err)
	}
	made.stream, err = fleetlogv1.NewIngestServiceClient(connection).StreamLogs(ctx, grpc.WaitForReady(true))
	if err != nil {
		log.Fatal(err)
	}
	return made
}

func (own *link) send(batches []*fleetlogv1.LogBatch) {
	go func() {
		for _, batch := range batches {
			if own.stream.Send(&fleetlogv1.StreamLogsRequest{Batch: batch}) != nil {
				return // Recv says why
			}
		}
	}()
}

// acknowledged reads this many acknowledgements, which come in the order of the batches, and returns the others.
func (own *link) acknowledged(batches []*fleetlogv1.LogBatch, count int) []*fleetlogv1.LogBatch {
	for count > 0 {
		response, err := own.stream.Recv()
		if err != nil {
			log.Fatal(err)
		}
		ack := response.GetAck()
		if ack == nil {
			continue
		}
		batch := batches[0]
		if ack.Error != nil || ack.Sequence != batch.Sequence || int(ack.Accepted) != len(batch.Records) {
			log.Fatalf("batch %d: %v", batch.Sequence, ack)
		}
		batches = batches[1:]
		count--
	}
	return batches
}

func (own *link) cut() {
	own.socket.Close()
	own.cancel()
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return value
}
