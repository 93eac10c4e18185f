// Sends numbered records with OpenTelemetry's SDK: send.mjs PROTOCOL ENDPOINT DEVICE COUNT PER_SECOND
import { DiagConsoleLogger, DiagLogLevel, diag } from "@opentelemetry/api";
import { OTLPLogExporter as GrpcExporter } from "@opentelemetry/exporter-logs-otlp-grpc";
import { OTLPLogExporter as JsonExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtobufExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";

// What the SDK drops it says nowhere else.
diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);

const [protocol, endpoint, device, count, perSecond] = process.argv.slice(2);
const compression = "gzip";
const exporters = {
  grpc: () => new GrpcExporter({ url: `http://${endpoint}`, compression }),
  "http/protobuf": () => new ProtobufExporter({ url: `http://${endpoint}/v1/logs`, compression }),
  "http/json": () => new JsonExporter({ url: `http://${endpoint}/v1/logs` }),
};
const provider = new LoggerProvider({
  resource: resourceFromAttributes({ "host.name": device, "process.pid": process.pid }),
  processors: [
    new BatchLogRecordProcessor({
      exporter: exporters[protocol](),
      scheduledDelayMillis: 200,
      maxQueueSize: 100_000,
    }),
  ],
});
const logger = provider.getLogger("numbers", "1.0");
for (let number = 1; number <= Number(count); number += 1) {
  logger.emit({
    severityNumber: 13,
    severityText: "warning",
    body: `record ${number}`,
    attributes: { number, share: 0.5, isEven: number % 2 === 0, list: ["a", 1] },
  });
  if (number % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 10_000 / Number(perSecond)));
}
await provider.shutdown();
