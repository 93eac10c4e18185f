// Sends numbered records with OpenTelemetry's SDK: send PROTOCOL ENDPOINT DEVICE COUNT PER_SECOND
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
)

func main() {
	protocol, endpoint, device := os.Args[1], os.Args[2], os.Args[3]
	count, perSecond := number(os.Args[4]), number(os.Args[5])
	ctx := context.Background()
	exporter, err := connect(ctx, protocol, endpoint)
	check(err)
	provider := sdklog.NewLoggerProvider(
		sdklog.WithResource(resource.NewSchemaless(attribute.String("host.name", device))),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter,
			sdklog.WithExportInterval(200*time.Millisecond), sdklog.WithMaxQueueSize(100_000))),
	)
	logger := provider.Logger("numbers")
	for n := 1; n <= count; n++ {
		var record log.Record
		record.SetTimestamp(time.Now())
		record.SetSeverity(log.SeverityWarn)
		record.SetSeverityText("warning")
		record.SetBody(attribute.StringValue(fmt.Sprintf("record %d", n)))
		record.AddAttributes(attribute.Int("number", n), attribute.Float64("share", 0.5),
			attribute.Bool("isEven", n%2 == 0), attribute.StringSlice("list", []string{"a", "b"}))
		logger.Emit(ctx, record)
		if n%10 == 0 {
			time.Sleep(10 * time.Second / time.Duration(perSecond))
		}
	}
	check(provider.Shutdown(ctx))
}

func connect(ctx context.Context, protocol, endpoint string) (sdklog.Exporter, error) {
	if protocol == "grpc" {
		return otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(endpoint), otlploggrpc.WithInsecure(),
			otlploggrpc.WithCompressor("gzip"))
	}
	return otlploghttp.New(ctx, otlploghttp.WithEndpoint(endpoint), otlploghttp.WithInsecure(),
		otlploghttp.WithCompression(otlploghttp.GzipCompression))
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
