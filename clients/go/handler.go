package fleetlog

import (
	"context"
	"log/slog"
	"runtime"
	"strings"

	"fleetlog/clients/go/fleetlogv1"
)

// HandlerOptions of NewHandler; the zero value logs Info and above.
type HandlerOptions struct {
	Level slog.Leveler
	// Logger is the component that logs, such as "net.wifi".
	Logger string
	// AddSource adds the attributes source.file, source.line and source.function.
	AddSource bool
	// Trace returns the trace (16 bytes) and the span (8 bytes) of a context, if it has any.
	Trace func(context.Context) (traceID, spanID []byte)
}

type handler struct {
	client     *Client
	options    HandlerOptions
	attributes []Attribute
	group      string
}

// NewHandler returns a handler for slog that sends records with client. What the server would reject is cut to its limits.
// With Wait a full client makes the caller wait: a program that must go on without its log server uses DropOldest.
func NewHandler(client *Client, options *HandlerOptions) slog.Handler {
	h := &handler{client: client}
	if options != nil {
		h.options = *options
	}
	if h.options.Level == nil {
		h.options.Level = slog.LevelInfo
	}
	return h
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.options.Level.Level()
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	out := &fleetlogv1.LogRecord{
		Severity: toSeverity(record.Level),
		Logger:   valid(h.options.Logger),
		Message:  fit(record.Message, messageBytesMax),
	}
	if !record.Time.IsZero() {
		h.client.setTime(out, record.Time)
	}
	if h.options.Trace != nil {
		out.TraceId, out.SpanId = h.options.Trace(ctx)
	}
	own := make([]Attribute, 0, record.NumAttrs()+1)
	record.Attrs(func(attribute slog.Attr) bool {
		own = append(own, attribute)
		return true
	})
	attributes := append(append([]Attribute{}, h.attributes...), h.inGroup(own)...)
	if h.options.AddSource && record.PC != 0 {
		frame, _ := runtime.CallersFrames([]uintptr{record.PC}).Next()
		attributes = append(attributes, slog.Group("source",
			"file", frame.File, "line", frame.Line, "function", frame.Function))
	}
	out.Attributes = fitAttributes(encodeAttributes(attributes))
	encoded, err := deterministic.Marshal(out)
	if err != nil {
		return err
	}
	// A record of a request that was cancelled is still worth keeping.
	return h.client.gather.add(context.WithoutCancel(ctx), encoded)
}

func (h *handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	if len(attributes) == 0 {
		return h
	}
	with := *h
	with.attributes = append(append([]Attribute{}, h.attributes...), h.inGroup(attributes)...)
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.group = name
	if h.group != "" {
		with.group = h.group + "." + name
	}
	return &with
}

func (h *handler) inGroup(attributes []Attribute) []Attribute {
	if h.group == "" {
		return attributes
	}
	return []Attribute{{Key: h.group, Value: slog.GroupValue(attributes...)}}
}

// toSeverity: slog's levels are four apart, as OpenTelemetry's.
func toSeverity(level slog.Level) Severity { return Severity(min(max(int(level)+9, 1), 24)) }

// The server's limits, which GetLimits returns too.
const (
	messageBytesMax = 64 << 10
	valueBytesMax   = 8 << 10
	keyBytesMax     = 128
	attributesMax   = 64
)

func fitAttributes(attributes []*fleetlogv1.Attribute) []*fleetlogv1.Attribute {
	attributes = attributes[:min(len(attributes), attributesMax)]
	for _, attribute := range attributes {
		attribute.Key = fit(attribute.Key, keyBytesMax)
		if value, ok := attribute.Value.(*fleetlogv1.Attribute_StringValue); ok {
			value.StringValue = fit(value.StringValue, valueBytesMax)
		}
	}
	return attributes
}

// fit returns a text that PostgreSQL can store: no NUL, valid UTF-8, and with an ellipsis where it is cut.
func fit(text string, bytesMax int) string {
	const ellipsis = "…"
	text = valid(strings.ReplaceAll(text, "\x00", "\uFFFD"))
	if len(text) <= bytesMax {
		return text
	}
	return strings.ToValidUTF8(text[:bytesMax-len(ellipsis)], "") + ellipsis
}
