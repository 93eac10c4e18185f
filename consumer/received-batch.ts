import { identityProblem } from "#batch/claimed-identity.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { type ScannedBatch, scan } from "#batch/scan.ts";
import type { Delivery, Place, Poison } from "#stream/delivery.ts";
import type { Entry } from "#stream/entry.ts";
import { streamKey } from "#stream/keys.ts";

/** A batch on its way into PostgreSQL. */
export interface BatchInHand {
  /** Stream and id of its entry, for people. */
  readonly name: string;
  readonly entry: Entry;
  readonly scanned: ScannedBatch;
}

/** What goes to dead_letters instead of becoming a batch. */
export interface DeadLetter {
  readonly reason: string;
  readonly raw: Uint8Array;
  readonly name: string;
  readonly entry?: Entry;
  /** The batch as a whole is kept here: its place in its session is settled by that. */
  readonly settles?: BatchInHand;
}

/** Ids are milliseconds << 20 in 63 bits: good until the year 2248. */
const receivedAtMicrosMax = 2 ** 43 * 1000 - 1;

/**
 * Reads the batch of an entry. The server scanned it with the same code, so what is refused here was put into the
 * stream by somebody else, or was changed on the way.
 */
export function takeInHand({ entry, ...place }: Delivery): BatchInHand | DeadLetter {
  const name = placeName(place);
  try {
    const scanned = scan(entry.batch);
    const problem = entryProblem(entry, scanned);
    if (problem === undefined) return { name, entry, scanned };
    return { name, entry, raw: entry.batch, reason: problem };
  } catch (error) {
    if (!(error instanceof InvalidBatchError)) throw error;
    return { name, entry, raw: entry.batch, reason: error.message };
  }
}

export function isBatch(taken: BatchInHand | DeadLetter): taken is BatchInHand {
  return "scanned" in taken;
}

/** The letter of something in the stream that is no entry; its raw bytes are its fields, a line each. */
export function letterOfPoison(poison: Poison): DeadLetter {
  const lines = poison.fields.flatMap((field) => [field, Buffer.from("\n")]);
  return { name: placeName(poison), reason: poison.error.message, raw: Buffer.concat(lines) };
}

function placeName({ shard, id }: Place): string {
  return `${streamKey(shard)}/${id}`;
}

function entryProblem(entry: Entry, scanned: ScannedBatch): string | undefined {
  if (entry.receivedAtMicros > receivedAtMicrosMax) {
    return `entry: received_at=${entry.receivedAtMicros}, the limit is ${receivedAtMicrosMax}`;
  }
  const problem = identityProblem(entry, scanned);
  return problem === undefined ? undefined : `entry: ${problem}`;
}
