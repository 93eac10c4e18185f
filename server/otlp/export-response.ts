import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ExportOutcome } from "./otlp-ingest.ts";

// opentelemetry.proto.collector.logs.v1.ExportLogsServiceResponse: partial_success = 1, which has
// rejected_log_records = 1 and error_message = 2. It is set when records are rejected, or as a warning.

export function encodeExportResponse({ rejected, message }: ExportOutcome): Buffer {
  if (rejected === 0 && message === "") return Buffer.alloc(0);
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).fork();
  if (rejected > 0) writer.tag(1, WireType.Varint).int64(rejected);
  writer.tag(2, WireType.LengthDelimited).string(message);
  return Buffer.from(writer.join().finish());
}

export function exportResponseJson({ rejected, message }: ExportOutcome): string {
  if (rejected === 0 && message === "") return "{}";
  return JSON.stringify({ partialSuccess: { rejectedLogRecords: String(rejected), errorMessage: message } });
}
