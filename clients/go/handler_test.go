package fleetlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"fleetlog/clients/go/fleetlogv1"
)

func toMap(attributes []*fleetlogv1.Attribute) map[string]any {
	out := map[string]any{}
	for _, attribute := range attributes {
		switch value := attribute.Value.(type) {
		case *fleetlogv1.Attribute_StringValue:
			out[attribute.Key] = value.StringValue
		case *fleetlogv1.Attribute_BoolValue:
			out[attribute.Key] = value.BoolValue
		case *fleetlogv1.Attribute_IntValue:
			out[attribute.Key] = value.IntValue
		case *fleetlogv1.Attribute_DoubleValue:
			out[attribute.Key] = value.DoubleValue
		default:
			out[attribute.Key] = nil
		}
	}
	return out
}

func TestTheHandlerKeepsTheTypesOfAttributes(t *testing.T) {
	p := newPeer(t)
	client, _ := open(t, Options{Address: p.address})
	log := slog.New(NewHandler(client, &HandlerOptions{Logger: "net.wifi", Trace: func(context.Context) (a, b []byte) {
		return make([]byte, 16), make([]byte, 8)
	}}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a record of a cancelled request is kept
	log.With("zone", "north").WithGroup("g").WarnContext(ctx, "pressure is \x00low\xff",
		"n", 3, "f", 1.5, "ok", true, "err", errors.New("broken"), "d", 2*time.Second, "none", nil,
		slog.Group("h", "i", uint64(1<<63)), "", "no name")
	log.Debug("not enabled")
	flushAll(t, client)
	record := p.seen[0].Batch.Records[0]
	want := map[string]any{
		"zone": "north", "g.n": int64(3), "g.f": 1.5, "g.ok": true, "g.err": "broken", "g.d": "2s", "g.none": nil,
		"g.h.i": "9223372036854775808", "g.!BADKEY": "no name",
	}
	if got := toMap(record.Attributes); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v, wanted %v", got, want)
	}
	if record.Severity != SeverityWarn || record.Message != "pressure is \uFFFDlow\uFFFD" || record.Logger != "net.wifi" {
		t.Fatalf("%v", record)
	}
	if len(p.seen) != 1 || len(p.seen[0].Batch.Records) != 1 || len(record.TraceId) != 16 {
		t.Fatalf("%v", p.seen)
	}
}

func TestTheHandlerCutsWhatTheServerWouldReject(t *testing.T) {
	p := newPeer(t)
	client, _ := open(t, Options{Address: p.address})
	attributes := []any{strings.Repeat("k", 200), strings.Repeat("ü", 8000)}
	for index := range 100 {
		attributes = append(attributes, fmt.Sprintf("name-%03d", index), index)
	}
	slog.New(NewHandler(client, nil)).Info(strings.Repeat("日本", 20_000), attributes...)
	flushAll(t, client)
	record := p.seen[0].Batch.Records[0]
	if len(record.Message) > 64<<10 || len(record.Attributes) != 64 || !strings.HasSuffix(record.Message, "…") {
		t.Fatalf("%d bytes, %d attributes", len(record.Message), len(record.Attributes))
	}
	for _, attribute := range record.Attributes {
		if len(attribute.Key) > 128 || len(attribute.GetStringValue()) > 8<<10 {
			t.Fatalf("%d, %d bytes", len(attribute.Key), len(attribute.GetStringValue()))
		}
	}
}

func TestTheHandlerIsOneOfSlog(t *testing.T) {
	p := newPeer(t)
	client, _ := open(t, Options{Address: p.address, BatchRecords: 1})
	seen := 0
	slogtest.Run(t, func(*testing.T) slog.Handler { return NewHandler(client, nil) }, func(t *testing.T) map[string]any {
		flushAll(t, client)
		seen++
		record := p.seen[seen-1].Batch.Records[0]
		out := map[string]any{slog.LevelKey: slog.LevelInfo, slog.MessageKey: record.Message}
		if record.TimeUnixNano > 0 {
			out[slog.TimeKey] = time.Unix(0, int64(record.TimeUnixNano))
		}
		for key, value := range toMap(record.Attributes) {
			put(out, strings.Split(key, "."), value)
		}
		return out
	})
}

func put(into map[string]any, path []string, value any) {
	if len(path) == 1 {
		into[path[0]] = value
		return
	}
	inner, ok := into[path[0]].(map[string]any)
	if !ok {
		inner = map[string]any{}
		into[path[0]] = inner
	}
	put(inner, path[1:], value)
}
