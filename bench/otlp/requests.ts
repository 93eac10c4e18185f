import { create, toBinary } from "@bufbuild/protobuf";
import { seededRandom } from "#batch/testing/random.ts";
import { encodeBatch } from "#bench/path/batch-pool.ts";
import { sampleRecord } from "#bench/sample-logs.ts";
import { encodeOtlp, type OtlpRecord, type OtlpRequest } from "#otlp/testing/otlp.ts";
import { LogBatchSchema, type LogRecord } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** The same records as a batch of our own protocol, and as a request of OTLP in both encodings. */
export interface SameRecords {
  readonly batch: (sequence: bigint) => Buffer;
  readonly otlp: Buffer;
  readonly otlpJson: string;
}

const deviceId = "bench-1";
const sessionId = "bench";

/** `count` times `records` realistic records. */
export function sampleRequests(count: number, records: number): readonly SameRecords[] {
  const random = seededRandom(1);
  let time = BigInt(Date.now()) * 1_000_000n;
  return Array.from({ length: count }, () => {
    const some = Array.from({ length: records }, () => sampleRecord(random, (time += 1_000_001n)));
    const encoded = toBinary(LogBatchSchema, create(LogBatchSchema, { records: some }));
    const request = toOtlp(some);
    return {
      batch: (sequence) => encodeBatch(deviceId, sessionId, sequence, encoded),
      otlp: encodeOtlp(request),
      otlpJson: JSON.stringify(request),
    };
  });
}

/** A scope for each logger, as an SDK sends it. */
function toOtlp(records: readonly LogRecord[]): OtlpRequest {
  const scopeLogs = [...Map.groupBy(records, ({ logger }) => logger)].map(([name, own]) => ({
    scope: { name },
    logRecords: own.map(toOtlpRecord),
  }));
  const attributes = [
    { key: "host.name", value: { stringValue: deviceId } },
    { key: "service.name", value: { stringValue: "bench" } },
    { key: "telemetry.sdk.language", value: { stringValue: "nodejs" } },
    { key: "process.pid", value: { intValue: "4711" } },
  ];
  return { resourceLogs: [{ resource: { attributes }, scopeLogs }] };
}

function toOtlpRecord({ timeUnixNano, severity, message, attributes }: LogRecord): OtlpRecord {
  return {
    timeUnixNano: String(timeUnixNano),
    observedTimeUnixNano: String(timeUnixNano + 1_000n),
    severityNumber: severity,
    body: { stringValue: message },
    attributes: attributes.map(({ key, value }) => ({ key, value: { stringValue: String(value.value) } })),
  };
}
