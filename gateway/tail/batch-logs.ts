import { decodeAttributes, toJsonObject } from "#batch/attribute-value.ts";
import { batchRecords, decodeRecord } from "#batch/batch-records.ts";
import { identityProblem } from "#batch/claimed-identity.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { RecordTimes } from "#batch/record-time.ts";
import { type ScannedBatch, scan } from "#batch/scan.ts";
import { Timestamp } from "#batch/timestamp.ts";
import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { Entry } from "#stream/entry.ts";
import { timestampFromMicros } from "../fields/time.ts";
import type { BatchOfLogs } from "../logs/entry-block.ts";
import { createLogEntry } from "../logs/log-entry.ts";

/**
 * The records of a batch as they will be stored: those that the scan accepts, with their index among all. A
 * batch that will be a dead letter has none.
 */
export function logsOfBatch(entry: Entry): BatchOfLogs {
  const { deviceId, sessionId } = entry;
  const scanned = accepted(entry);
  if (scanned === undefined) return { deviceId, sessionId, severities: 0, logs: [] };
  return { deviceId, sessionId, severities: scanned.severities, logs: [...readLogs(entry, scanned)] };
}

function accepted(entry: Entry): ScannedBatch | undefined {
  try {
    const scanned = scan(entry.batch, entry);
    return identityProblem(entry, scanned) === undefined ? scanned : undefined;
  } catch (error) {
    if (error instanceof InvalidBatchError) return undefined;
    throw error;
  }
}

function* readLogs(entry: Entry, scanned: ScannedBatch): Generator<LogEntry> {
  const { deviceId, sessionId, sequence } = entry;
  const { bytes, attributes, hasCutAttributes } = scanned;
  const times = new RecordTimes(scanned, entry);
  const happened = new Timestamp();
  const receivedAt = timestampFromMicros(BigInt(entry.receivedAtMicros));
  const batchAttributes = attributes === undefined ? {} : toJsonObject(decodeAttributes(bytes, attributes));
  const origin = { receivedAt, deviceId, sessionId, sequence, batchAttributes };
  for (const { index, fields, rejection, isCut } of batchRecords(scanned)) {
    if (rejection !== undefined) continue;
    const record = decodeRecord(bytes, fields);
    // As it is stored, to the microsecond.
    const timeSource = times.set(happened, fields);
    const observed = record.observedTimeUnixNano;
    yield createLogEntry(
      { ...origin, time: timestampFromMicros(happened.micros), index },
      {
        ...record,
        uptimeNanos: record.uptimeNano,
        observedMicros: observed === 0n ? undefined : observed / 1000n,
        isTextRepaired: isCut || hasCutAttributes,
        timeSource,
      },
    );
  }
}
