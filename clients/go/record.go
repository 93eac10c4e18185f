package fleetlog

import (
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"fleetlog/clients/go/fleetlogv1"
)

// Severity has OpenTelemetry's numbers, 1 to 24; 0: none.
type Severity = fleetlogv1.Severity

const (
	SeverityTrace Severity = 1
	SeverityDebug Severity = 5
	SeverityInfo  Severity = 9
	SeverityWarn  Severity = 13
	SeverityError Severity = 17
	SeverityFatal Severity = 21
)

// Attribute is a name and a value: slog.String("zone", "north"), slog.Int("count", 3), slog.Any("cause", err). Text, bool,
// integers and floats are stored as such, a group as one attribute for each of its members ("group.name"), anything else
// as text or JSON.
type Attribute = slog.Attr

// Record is one log record. log.proto has the limits of its fields: the server rejects a record that exceeds them, and
// stores the others of the batch. Invalid UTF-8 is replaced by U+FFFD.
type Record struct {
	// Time is when it happened. Zero: unknown; Log then sets it.
	Time time.Time
	// Uptime is when it happened, since the device booted. Zero: unknown.
	Uptime       time.Duration
	Severity     Severity
	SeverityText string
	// Logger is the component that logged, such as "net.wifi".
	Logger     string
	Message    string
	EventName  string
	Attributes []Attribute
	// TraceID has 16 bytes, SpanID 8, or none.
	TraceID, SpanID []byte
	// ObservedTime is when a collector first saw the record.
	ObservedTime time.Time
}

// DeviceInfo is what a device says about itself. It is kept with its history.
type DeviceInfo struct {
	Firmware, Hardware, Site string
	Attributes               []Attribute
}

func (r *Record) toMessage() *fleetlogv1.LogRecord {
	return &fleetlogv1.LogRecord{
		TimeUnixNano:         unixNano(r.Time),
		Severity:             r.Severity,
		Logger:               valid(r.Logger),
		Message:              valid(r.Message),
		Attributes:           encodeAttributes(r.Attributes),
		TraceId:              r.TraceID,
		SpanId:               r.SpanID,
		EventName:            valid(r.EventName),
		UptimeNano:           uint64(max(0, r.Uptime)),
		SeverityText:         valid(r.SeverityText),
		ObservedTimeUnixNano: unixNano(r.ObservedTime),
	}
}

var deterministic = proto.MarshalOptions{Deterministic: true}

// encode returns a fleetlog.v1.DeviceInfo. An invalid one would refuse its batch, so the limits are checked here.
func (d *DeviceInfo) encode() ([]byte, error) {
	var problems []error
	for name, text := range map[string]string{"Firmware": d.Firmware, "Hardware": d.Hardware, "Site": d.Site} {
		if len(text) > 256 || strings.ContainsRune(text, 0) {
			problems = append(problems, fmt.Errorf("Device.%s: %d bytes, at most 256 and no NUL", name, len(text)))
		}
	}
	attributes := encodeAttributes(d.Attributes)
	problems = append(problems, checkAttributes("Device.Attributes", attributes))
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return deterministic.Marshal(&fleetlogv1.DeviceInfo{
		Firmware: valid(d.Firmware), Hardware: valid(d.Hardware), Site: valid(d.Site), Attributes: attributes,
	})
}

// checkAttributes: those of a batch and of a device refuse the batch where those of a record only reject the record.
func checkAttributes(name string, attributes []*fleetlogv1.Attribute) error {
	if len(attributes) > attributesMax {
		return fmt.Errorf("%s: %d attributes, at most %d", name, len(attributes), attributesMax)
	}
	for _, a := range attributes {
		text := a.GetStringValue()
		if len(a.Key) == 0 || len(a.Key) > keyBytesMax || strings.ContainsRune(a.Key, 0) {
			return fmt.Errorf("%s: the name %q has %d bytes, wanted 1 to 128 without NUL", name, a.Key, len(a.Key))
		}
		if len(text) > valueBytesMax || strings.ContainsRune(text, 0) {
			return fmt.Errorf("%s[%q]: %d bytes, at most %d and no NUL", name, a.Key, len(text), valueBytesMax)
		}
	}
	return nil
}

// encodeAttributes sorts by name, which saves the server from sorting to recognise a batch.
func encodeAttributes(attributes []Attribute) []*fleetlogv1.Attribute {
	if len(attributes) == 0 {
		return nil
	}
	encoded := appendAttributes(make([]*fleetlogv1.Attribute, 0, len(attributes)), "", attributes)
	slices.SortStableFunc(encoded, func(a, b *fleetlogv1.Attribute) int { return cmp.Compare(a.Key, b.Key) })
	return encoded
}

func appendAttributes(encoded []*fleetlogv1.Attribute, prefix string, attributes []Attribute) []*fleetlogv1.Attribute {
	for _, attribute := range attributes {
		if attribute.Equal(Attribute{}) { // slog ignores it
			continue
		}
		value := attribute.Value.Resolve()
		key := prefix + attribute.Key
		if value.Kind() == slog.KindGroup {
			if attribute.Key != "" { // as in slog, the members of a group without a name stand for themselves
				key += "."
			}
			encoded = appendAttributes(encoded, key, value.Group())
			continue
		}
		if attribute.Key == "" {
			key += "!BADKEY" // as slog calls it; the server would reject the record
		}
		out := &fleetlogv1.Attribute{Key: valid(key)}
		setValue(out, value)
		encoded = append(encoded, out)
	}
	return encoded
}

func setValue(out *fleetlogv1.Attribute, value slog.Value) {
	switch value.Kind() {
	case slog.KindString:
		out.Value = text(value.String())
	case slog.KindBool:
		out.Value = &fleetlogv1.Attribute_BoolValue{BoolValue: value.Bool()}
	case slog.KindInt64:
		out.Value = &fleetlogv1.Attribute_IntValue{IntValue: value.Int64()}
	case slog.KindUint64:
		if n := value.Uint64(); n <= math.MaxInt64 {
			out.Value = &fleetlogv1.Attribute_IntValue{IntValue: int64(n)}
		} else {
			out.Value = text(strconv.FormatUint(n, 10))
		}
	case slog.KindFloat64:
		out.Value = &fleetlogv1.Attribute_DoubleValue{DoubleValue: value.Float64()}
	case slog.KindTime:
		out.Value = text(value.Time().Format(time.RFC3339Nano))
	case slog.KindDuration:
		out.Value = text(value.Duration().String())
	default:
		if any := value.Any(); any != nil {
			out.Value = text(describe(any))
		}
	}
}

func text(value string) *fleetlogv1.Attribute_StringValue {
	return &fleetlogv1.Attribute_StringValue{StringValue: valid(value)}
}

// describe returns the words of a value. A value whose own method panics must not end the program that logs it.
func describe(value any) (words string) {
	defer func() {
		if reason := recover(); reason != nil {
			words = fmt.Sprintf("!PANIC: %v", reason)
		}
	}()
	switch v := value.(type) {
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	case encoding.TextMarshaler:
		if out, err := v.MarshalText(); err == nil {
			return string(out)
		}
	}
	if out, err := json.Marshal(value); err == nil {
		return string(out)
	}
	return fmt.Sprintf("%+v", value)
}

func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// unixNano reaches from 1970 to 2554; other times are unknown.
func unixNano(t time.Time) uint64 {
	seconds := t.Unix()
	if seconds < 0 || seconds >= math.MaxUint64/1_000_000_000 {
		return 0
	}
	return uint64(seconds)*1_000_000_000 + uint64(t.Nanosecond())
}
