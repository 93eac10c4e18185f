import { identityProblem } from "#batch/claimed-identity.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { type ScannedBatch, scan } from "#batch/scan.ts";
import type { Delivery, EntryPosition, MalformedEntry } from "#stream/delivery.ts";
import type { Entry } from "#stream/entry.ts";
import { streamKey } from "#stream/keys.ts";

/** A batch on its way into PostgreSQL. */
export interface ReceivedBatch {
  /** Stream and id of its entry, for logs and operators. */
  readonly entryName: string;
  readonly entry: Entry;
  readonly scanned: ScannedBatch;
}

/** A batch or entry that cannot be stored, and goes to dead_letters instead. */
export interface DeadLetter {
  readonly reason: string;
  readonly raw: Uint8Array;
  readonly entryName: string;
  readonly entry?: Entry;
  /** The batch that is kept here as a whole: storing the dead letter settles its sequence in the session. */
  readonly settledBatch?: ReceivedBatch;
}

/** Batch ids are milliseconds << 20 in 63 bits: good until the year 2248. */
const receivedAtMicrosMax = 2 ** 43 * 1000 - 1;

/**
 * Decodes the batch of a delivered entry. The server scanned it with the same code, so an invalid one was appended by
 * something other than a server, or changed afterwards: it becomes a dead letter.
 */
export function decodeDelivery({ entry, ...position }: Delivery): ReceivedBatch | DeadLetter {
  const name = entryName(position);
  try {
    const scanned = scan(entry.batch, entry);
    const problem = entryProblem(entry, scanned);
    if (problem === undefined) return { entryName: name, entry, scanned };
    return { entryName: name, entry, raw: entry.batch, reason: problem };
  } catch (error) {
    if (!(error instanceof InvalidBatchError)) throw error;
    return { entryName: name, entry, raw: entry.batch, reason: error.message };
  }
}

export function isBatch(decoded: ReceivedBatch | DeadLetter): decoded is ReceivedBatch {
  return "scanned" in decoded;
}

/** Keeps the fields of a malformed entry, one per line. */
export function deadLetterFor(malformed: MalformedEntry): DeadLetter {
  const lines = malformed.fields.flatMap((field) => [field, Buffer.from("\n")]);
  return { entryName: entryName(malformed), reason: malformed.error.message, raw: Buffer.concat(lines) };
}

function entryName({ shard, id }: EntryPosition): string {
  return `${streamKey(shard)}/${id}`;
}

function entryProblem(entry: Entry, scanned: ScannedBatch): string | undefined {
  if (entry.receivedAtMicros > receivedAtMicrosMax) {
    return `entry: received_at=${entry.receivedAtMicros}, the limit is ${receivedAtMicrosMax}`;
  }
  const problem = identityProblem(entry, scanned);
  return problem === undefined ? undefined : `entry: ${problem}`;
}
