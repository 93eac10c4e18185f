// The device of the fault matrix in Go: sends the batches that it reads as JSON lines from standard input with
// fleetlog/clients/go, and reports every event as a JSON line. See test/support/device-program.ts.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"log"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	fleetlog "fleetlog/clients/go"
	"fleetlog/clients/go/fleetlogv1"
)

type input struct {
	ID      int      `json:"id"`
	Records [][]byte `json:"records"` // base64 of a LogRecord
}

type output struct {
	Event      string      `json:"event"`
	ID         *int        `json:"id,omitempty"`
	Session    string      `json:"session,omitempty"`
	Sequence   string      `json:"sequence,omitempty"`
	Accepted   int         `json:"accepted"`
	Rejections []rejection `json:"rejections,omitempty"`
	Message    string      `json:"message,omitempty"`
	Through    string      `json:"through,omitempty"`
	First      string      `json:"first,omitempty"`
	Last       string      `json:"last,omitempty"`
	Code       int         `json:"code,omitempty"`
	Recovered  bool        `json:"recovered,omitempty"`
}

type rejection struct {
	Index  int    `json:"index"`
	Reason string `json:"reason"`
}

// device reports events; the callback of the client and main both use it.
type device struct {
	mu        sync.Mutex
	out       *json.Encoder
	ids       map[uint64]int
	committed map[uint64]bool
	through   uint64
}

func main() {
	id := flag.String("device", "", "")
	session := flag.String("session", "", "")
	address := flag.String("grpc", "", "")
	flag.String("http", "", "not used")
	keepUntil := flag.String("keep-until", "accepted", "accepted or committed")
	spool := flag.String("spool", "", "")
	base := flag.Int("backoff-base-ms", 30, "")
	limit := flag.Int("backoff-cap-ms", 500, "")
	timeout := flag.Int("ack-timeout-ms", 4000, "")
	gzip := flag.Bool("gzip", false, "")
	commitTimeout := flag.Int("commit-timeout-ms", 60_000, "")
	reportKept := flag.Bool("report-kept", false, "an event when a batch is numbered and kept")
	firmware := flag.String("firmware", "", "")
	pending := flag.Int("pending-batches-max", 0, "")
	dropOldest := flag.Bool("drop-oldest", false, "")
	flag.Parse()

	d := &device{out: json.NewEncoder(os.Stdout), ids: map[uint64]int{}, committed: map[uint64]bool{}}
	options := fleetlog.Options{
		DeviceID: *id, SessionID: *session, Address: *address, Spool: *spool, Gzip: *gzip,
		BackoffBase: milliseconds(*base), BackoffMax: milliseconds(*limit), AckTimeout: milliseconds(*timeout),
		CommitTimeout: milliseconds(*commitTimeout), PendingBatches: *pending,
		OnEvent: d.report,
	}
	if *keepUntil == "committed" {
		options.KeepUntil = fleetlog.UntilCommitted
	}
	if *firmware != "" {
		options.Device = &fleetlog.DeviceInfo{Firmware: *firmware}
	}
	if *dropOldest {
		options.OnFull = fleetlog.DropOldest
	}
	client, err := fleetlog.Open(options)
	if err != nil {
		d.fail(err)
	}
	ctx := context.Background()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 4<<20)
	for sequence := uint64(1); lines.Scan(); sequence++ {
		var line input
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			d.fail(err)
		}
		d.mu.Lock()
		d.ids[sequence] = line.ID
		d.mu.Unlock()
		if _, err := client.Send(ctx, toBatch(line.Records)); err != nil {
			d.fail(err)
		}
		if *reportKept {
			d.write(output{Event: "kept", ID: &line.ID})
		}
	}
	if err := client.Flush(ctx); err != nil {
		d.fail(err)
	}
	d.write(output{Event: "flushed"})
	if err := client.Close(); err != nil {
		d.fail(err)
	}
}

func (d *device) report(event fleetlog.Event) {
	switch e := event.(type) {
	case fleetlog.Acknowledged:
		out := d.name("acknowledged", e.SentBatch)
		out.Accepted = e.Accepted
		for _, r := range e.Rejections {
			out.Rejections = append(out.Rejections, rejection{r.Index, r.Reason})
		}
		d.write(out)
	case fleetlog.Refused:
		out := d.name("refused", e.SentBatch)
		out.Message = e.Field + ": " + e.Reason
		d.write(out)
	case fleetlog.Committed:
		if e.IsRecovered {
			return
		}
		d.committed[e.Sequence] = true
		for d.committed[d.through+1] {
			d.through++
			delete(d.committed, d.through)
		}
		d.write(output{Event: "committed", Through: strconv.FormatUint(d.through, 10)})
	case fleetlog.Dropped:
		number := strconv.FormatUint(e.Sequence, 10)
		d.write(output{Event: "dropped", First: number, Last: number, Recovered: e.IsRecovered})
	case fleetlog.Postponed:
		d.write(output{Event: "later", Code: e.Code})
	case fleetlog.Reconnecting:
		d.write(output{Event: "reconnect", Message: e.Reason})
	case fleetlog.Problem:
		log.Print(e.Reason)
	}
}

func (d *device) name(event string, batch fleetlog.SentBatch) output {
	out := output{
		Event: event, Session: batch.SessionID, Sequence: strconv.FormatUint(batch.Sequence, 10), Recovered: batch.IsRecovered,
	}
	if !batch.IsRecovered {
		d.mu.Lock()
		defer d.mu.Unlock()
		id := d.ids[batch.Sequence]
		out.ID = &id
	}
	return out
}

func (d *device) write(out output) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.out.Encode(out); err != nil {
		log.Fatal(err)
	}
}

func (d *device) fail(err error) {
	d.write(output{Event: "failed", Message: err.Error()})
	os.Exit(1)
}

func toBatch(encoded [][]byte) (batch fleetlog.Batch) {
	for _, bytes := range encoded {
		var record fleetlogv1.LogRecord
		if err := proto.Unmarshal(bytes, &record); err != nil {
			log.Fatal(err)
		}
		batch.Records = append(batch.Records, toRecord(&record))
	}
	return batch
}

func toRecord(record *fleetlogv1.LogRecord) fleetlog.Record {
	out := fleetlog.Record{
		Time:         toTime(record.TimeUnixNano),
		Uptime:       time.Duration(record.UptimeNano),
		Severity:     record.Severity,
		SeverityText: record.SeverityText,
		Logger:       record.Logger,
		Message:      record.Message,
		EventName:    record.EventName,
		TraceID:      record.TraceId,
		SpanID:       record.SpanId,
		ObservedTime: toTime(record.ObservedTimeUnixNano),
	}
	for _, attribute := range record.Attributes {
		out.Attributes = append(out.Attributes, toAttribute(attribute))
	}
	return out
}

func toAttribute(attribute *fleetlogv1.Attribute) fleetlog.Attribute {
	switch value := attribute.Value.(type) {
	case *fleetlogv1.Attribute_StringValue:
		return slog.String(attribute.Key, value.StringValue)
	case *fleetlogv1.Attribute_BoolValue:
		return slog.Bool(attribute.Key, value.BoolValue)
	case *fleetlogv1.Attribute_IntValue:
		return slog.Int64(attribute.Key, value.IntValue)
	case *fleetlogv1.Attribute_DoubleValue:
		return slog.Float64(attribute.Key, value.DoubleValue)
	}
	return slog.Any(attribute.Key, nil)
}

func toTime(nanoseconds uint64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(nanoseconds/1_000_000_000), int64(nanoseconds%1_000_000_000))
}

func milliseconds(count int) time.Duration { return time.Duration(count) * time.Millisecond }
