import { limits } from "#batch/limits.ts";
import { type Rejection, rejectedBytes } from "#batch/scan.ts";
import type { Entry } from "#stream/entry.ts";
import type { DeadLetter } from "../received-batch.ts";
import type { NewBatch } from "./batches.ts";

/** Bytes of a dead letter that are kept. */
const rawBytesMax = 64 << 10;

/** A row of dead_letters, without the columns that have defaults. */
export interface DeadLetterRow {
  readonly entry: Entry | undefined;
  /** The index of the record in its batch; null unless the row is a single record. */
  readonly index: number | null;
  readonly reason: string;
  readonly raw: Uint8Array;
  /** The length of `raw` before it was cut. */
  readonly rawBytes: number;
  readonly isJson: boolean;
  /** Stream and id of the entry that is kept as a whole. */
  readonly name: string | null;
  /** Digest of the batch that is kept as a whole. */
  readonly digest: Buffer | null;
  readonly recordCount: number;
}

/** The rows of a flush, and the records that are only counted. */
export interface DeadLetterRows {
  readonly rows: readonly DeadLetterRow[];
  /** One for each device over its rate: the first row that was not kept, with the count of all. */
  readonly overRate: readonly DeadLetterRow[];
  /** Kept rows that count against the rate, by device. */
  readonly spent: ReadonlyMap<string, number>;
}

/**
 * Builds the rows for everything a flush cannot store. Senders decide how many records a server rejects, so these are
 * bounded: the first 100 of a batch one by one, the rest in one row, and at most `left` rows per device. Data that a
 * server acknowledged is always kept, and never cut.
 */
export function buildDeadLetterRows(
  batches: readonly NewBatch[],
  deadLetters: readonly DeadLetter[],
  left: (deviceId: string) => number,
): DeadLetterRows {
  const rows = deadLetters.map(toDeadLetterRow);
  const overRate = new Map<string, DeadLetterRow>();
  const spent = new Map<string, number>();
  for (const batch of batches) {
    const { deviceId } = batch.entry;
    const accepted = batch.scanned.rejections.filter(({ wasAccepted }) => wasAccepted);
    const rejected = batch.scanned.rejections.filter(({ wasAccepted }) => !wasAccepted);
    rows.push(...accepted.map((rejection) => toRecordRow(batch, rejection, Number.POSITIVE_INFINITY)));
    if (rejected.length === 0) continue;
    const bounded = rejected
      .slice(0, limits.rejectionsMax)
      .map((rejection) => toRecordRow(batch, rejection, rawBytesMax));
    if (rejected.length > limits.rejectionsMax) {
      bounded.push(toSummaryRow(batch, rejected.slice(limits.rejectionsMax)));
    }
    const spentBefore = spent.get(deviceId) ?? 0;
    const kept = bounded.slice(0, Math.max(0, left(deviceId) - spentBefore));
    rows.push(...kept);
    spent.set(deviceId, spentBefore + kept.length);
    for (const row of bounded.slice(kept.length)) {
      const first = overRate.get(deviceId);
      overRate.set(
        deviceId,
        first === undefined ? row : { ...first, recordCount: first.recordCount + row.recordCount },
      );
    }
  }
  return { rows, overRate: [...overRate.values()], spent };
}

function toRecordRow({ entry, scanned }: NewBatch, rejection: Rejection, bytesMax: number): DeadLetterRow {
  const raw = rejectedBytes(scanned, rejection);
  return {
    entry,
    index: rejection.index,
    reason: rejection.reason,
    raw: raw.subarray(0, bytesMax),
    rawBytes: Math.max(raw.length, rejection.unreadable?.jsonBytes ?? 0),
    isJson: rejection.unreadable !== undefined,
    name: null,
    digest: null,
    recordCount: 1,
  };
}

/** One row for several records, with as many of them as fit, as the records of a LogBatch. */
function toSummaryRow({ entry, scanned }: NewBatch, rejections: readonly Rejection[]): DeadLetterRow {
  const raw: Uint8Array[] = [];
  let rawBytes = 0;
  let keptBytes = 0;
  let fits = true;
  for (const { fieldStart, end } of rejections) {
    const size = end - fieldStart;
    rawBytes += size;
    fits &&= keptBytes + size <= rawBytesMax;
    if (!fits) continue;
    keptBytes += size;
    raw.push(scanned.bytes.subarray(fieldStart, end));
  }
  const from = rejections[0]!.index;
  return {
    entry,
    index: null,
    reason: `${rejections.length} more records of the batch were rejected, from index ${from}`,
    raw: Buffer.concat(raw),
    rawBytes,
    isJson: false,
    name: null,
    digest: null,
    recordCount: rejections.length,
  };
}

function toDeadLetterRow({ entry, reason, raw, entryName: name, settledBatch }: DeadLetter): DeadLetterRow {
  return {
    entry,
    index: null,
    reason,
    raw: settledBatch === undefined ? raw.subarray(0, rawBytesMax) : raw,
    rawBytes: raw.length,
    isJson: false,
    name,
    digest: settledBatch?.entry.digest ?? null,
    recordCount: 1,
  };
}
