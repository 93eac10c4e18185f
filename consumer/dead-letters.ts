import { type Kysely, sql } from "kysely";
import { limits } from "#batch/limits.ts";
import { rejectedBytes } from "#batch/scan.ts";
import type { Database } from "#postgres/tables.ts";
import type { Entry } from "#stream/entry.ts";
import type { DeadLetter } from "./batch-in-hand.ts";
import type { NewBatch } from "./ledger.ts";

/** Of a dead letter's bytes, so many are kept; all of a batch that PostgreSQL refused, for it may take it one day. */
const rawBytesMax = 64 << 10;

/**
 * Keeps the rejected records of new batches, and `letters`, which never became a batch. A letter that is here
 * already, because its acknowledgement was lost, is skipped.
 */
export async function keepDeadLetters(
  db: Kysely<Database>,
  batches: readonly NewBatch[],
  letters: readonly DeadLetter[],
): Promise<void> {
  const rows = [...batches.flatMap(rowsOfBatch), ...letters.map(rowOfLetter)];
  if (rows.length === 0) return;
  await sql`
    insert into dead_letters (received_at, device_id, session_id, sequence, idx, reason, raw, raw_bytes, entry)
    select time_from_micros(received_micros), device_id, session_id, sequence, idx, reason, raw, raw_bytes, entry
    from unnest(
      ${rows.map(({ entry }) => entry?.receivedAtMicros ?? null)}::bigint[],
      ${rows.map(({ entry }) => entry?.deviceId ?? null)}::text[],
      ${rows.map(({ entry }) => entry?.sessionId ?? null)}::text[],
      ${rows.map(({ entry }) => fitting(entry?.sequence))}::bigint[],
      ${rows.map(({ index }) => index)}::int[],
      ${rows.map(({ reason }) => reason.replaceAll("\0", "\uFFFD"))}::text[],
      ${rows.map(({ raw, isWhole }) => Buffer.from(isWhole ? raw : raw.subarray(0, rawBytesMax)))}::bytea[],
      ${rows.map(({ raw }) => raw.length)}::int[],
      ${rows.map(({ name }) => name)}::text[]
    ) as letter (received_micros, device_id, session_id, sequence, idx, reason, raw, raw_bytes, entry)
    order by entry, sequence, idx
    on conflict (entry, sha256(raw)) where entry is not null do nothing`.execute(db);
}

interface Row {
  readonly entry: Entry | undefined;
  readonly index: number | null;
  readonly reason: string;
  readonly raw: Uint8Array;
  readonly name: string | null;
  readonly isWhole: boolean;
}

function rowsOfBatch({ entry, scanned }: NewBatch): Row[] {
  return scanned.rejections.map((rejection) => ({
    entry,
    index: rejection.index,
    reason: rejection.reason,
    raw: rejectedBytes(scanned, rejection),
    name: null,
    isWhole: false,
  }));
}

function rowOfLetter({ entry, reason, raw, name, settles }: DeadLetter): Row {
  return { entry, index: null, reason, raw, name, isWhole: settles !== undefined };
}

/** An entry may carry 19 digits, more than a bigint column holds. */
function fitting(sequence: bigint | undefined): bigint | null {
  return sequence === undefined || sequence > limits.sequenceMax ? null : sequence;
}
