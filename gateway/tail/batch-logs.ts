import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { identityProblem } from "#batch/claimed-identity.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { batchTags } from "#batch/log-tags.ts";
import { RecordFields } from "#batch/record-fields.ts";
import { type ScannedBatch, scan } from "#batch/scan.ts";
import { WireReader } from "#batch/wire-reader.ts";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { type LogEntry, LogEntrySchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { Entry } from "#stream/entry.ts";
import { timestampFromMicros } from "../fields/time.ts";
import type { BatchOfLogs } from "../logs/match-logs.ts";

// One for all batches: reading is synchronous, and nothing of it outlives the call.
const record = new RecordFields();

/**
 * The records of a batch as they will be stored: those that the scan accepts, with their place among all. A batch that
 * will be a dead letter has none.
 */
export function logsOfBatch(entry: Entry): BatchOfLogs {
  const { deviceId, sessionId } = entry;
  const scanned = accepted(entry);
  if (scanned === undefined) return { deviceId, sessionId, severities: 0, logs: [] };
  return { deviceId, sessionId, severities: scanned.severities, logs: [...readLogs(entry, scanned)] };
}

function accepted(entry: Entry): ScannedBatch | undefined {
  try {
    const scanned = scan(entry.batch);
    return identityProblem(entry, scanned) === undefined ? scanned : undefined;
  } catch (error) {
    if (error instanceof InvalidBatchError) return undefined;
    throw error;
  }
}

function* readLogs(entry: Entry, { bytes, rejections }: ScannedBatch): Generator<LogEntry> {
  const receivedAt = timestampFromMicros(BigInt(entry.receivedAtMicros));
  const rejected = new Set(rejections.map(({ index }) => index));
  const reader = new WireReader(bytes);
  for (let index = 0; reader.position < reader.end; ) {
    const tag = reader.tag();
    if (tag !== batchTags.records) {
      reader.skip(tag);
      continue;
    }
    record.read(reader, reader.size());
    if (!rejected.has(index)) {
      yield create(LogEntrySchema, {
        time: toTimestamp(record) ?? receivedAt,
        receivedAt,
        deviceId: entry.deviceId,
        sessionId: entry.sessionId,
        sequence: entry.sequence,
        index,
        severity: record.severity as Severity,
        logger: bytes.toString("utf8", record.loggerStart, record.loggerEnd),
        message: bytes.toString("utf8", record.messageStart, record.messageEnd),
        attributes: readAttributes(bytes, record),
      });
    }
    index += 1;
  }
}

/** To the microsecond, as it is stored; undefined when the device gave none. */
function toTimestamp({ timeHigh, timeLow }: RecordFields): Timestamp | undefined {
  if (timeHigh === 0 && timeLow === 0) return undefined;
  const nanos = (BigInt(timeHigh >>> 0) << 32n) | BigInt(timeLow >>> 0);
  return timestampFromMicros(nanos / 1000n);
}

/** Of those that share a name the last counts. Also "__proto__" is a name like any other to fromEntries. */
function readAttributes(bytes: Buffer, { attributeCount, attributeBounds }: RecordFields) {
  const pairs: [string, string][] = [];
  for (let at = 0; at < 4 * attributeCount; at += 4) {
    const [keyStart, keyEnd, valueStart, valueEnd] = attributeBounds.subarray(at, at + 4);
    pairs.push([bytes.toString("utf8", keyStart, keyEnd), bytes.toString("utf8", valueStart, valueEnd)]);
  }
  return Object.fromEntries(pairs);
}
