import { type Kysely, sql } from "kysely";
import { limits } from "#batch/limits.ts";
import type { Database } from "#postgres/tables.ts";
import type { DeadLetter } from "../received-batch.ts";
import type { NewBatch } from "./batches.ts";
import { deadLetterRateLimits } from "./dead-letter-rate.ts";
import { buildDeadLetterRows, type DeadLetterRow } from "./dead-letter-rows.ts";

/** The result of {@link insertDeadLetters}. */
export interface InsertedDeadLetters {
  /** Records that are only counted, in a dead letter that summarizes several. */
  readonly summarizedRecords: number;
  /** Dead letters that count against the rate once they are committed, by device. */
  readonly spent: ReadonlyMap<string, number>;
}

/**
 * Inserts the rejected records of new batches, and `deadLetters`, which never became a batch. Skips a dead letter that
 * exists already: its acknowledgement was lost, or its device sent the batch again. Records of a device over its rate
 * (`left`) are only counted, in one dead letter per minute.
 */
export async function insertDeadLetters(
  db: Kysely<Database>,
  batches: readonly NewBatch[],
  deadLetters: readonly DeadLetter[],
  left: (deviceId: string) => number,
): Promise<InsertedDeadLetters> {
  const { rows, overRate, spent } = buildDeadLetterRows(batches, deadLetters, left);
  if (rows.length > 0) await insertRows(db, rows);
  if (overRate.length > 0) await countMinutes(db, overRate);
  const summaries = rows.filter(({ recordCount }) => recordCount > 1);
  return {
    summarizedRecords: [...summaries, ...overRate].reduce((sum, { recordCount }) => sum + recordCount, 0),
    spent,
  };
}

async function insertRows(db: Kysely<Database>, rows: readonly DeadLetterRow[]): Promise<void> {
  await sql`
    insert into dead_letters
      (received_at, device_id, session_id, sequence, idx, reason, raw, raw_bytes, entry, record_count, is_json, digest)
    select time_from_micros(received_micros), device_id, session_id, sequence, idx, reason, raw, raw_bytes, entry,
      record_count, is_json, digest
    from unnest(
      ${rows.map(({ entry }) => entry?.receivedAtMicros ?? null)}::bigint[],
      ${rows.map(({ entry }) => entry?.deviceId ?? null)}::text[],
      ${rows.map(({ entry }) => entry?.sessionId ?? null)}::text[],
      ${rows.map(({ entry }) => storableSequence(entry?.sequence))}::bigint[],
      ${rows.map(({ index }) => index)}::int[],
      ${rows.map(({ reason }) => storableText(reason))}::text[],
      ${rows.map(({ raw }) => Buffer.from(raw))}::bytea[],
      ${rows.map(({ rawBytes }) => rawBytes)}::int[],
      ${rows.map(({ name }) => name)}::text[],
      ${rows.map(({ recordCount }) => recordCount)}::int[],
      ${rows.map(({ isJson }) => isJson)}::boolean[],
      ${rows.map(({ digest }) => digest)}::bytea[]
    ) as dead_letter (
      received_micros, device_id, session_id, sequence, idx, reason, raw, raw_bytes, entry, record_count, is_json,
      digest
    )
    order by entry, sequence, idx
    on conflict do nothing`.execute(db);
}

/** Adds to the dead letter of this minute of each device, in device order: consumers never wait for each other in a circle. */
async function countMinutes(db: Kysely<Database>, rows: readonly DeadLetterRow[]): Promise<void> {
  const { burst, perMinute } = deadLetterRateLimits;
  const rate = `more than ${burst} dead letters at once or ${perMinute} per minute: counted only; reason of the first: `;
  await sql`
    insert into dead_letters as stored
      (received_at, device_id, reason, raw, raw_bytes, record_count, is_json, minute)
    select time_from_micros(received_micros), device_id, reason, raw, raw_bytes, record_count, is_json,
      date_trunc('minute', now())
    from unnest(
      ${rows.map(({ entry }) => entry!.receivedAtMicros)}::bigint[],
      ${rows.map(({ entry }) => entry!.deviceId)}::text[],
      ${rows.map(({ reason }) => storableText(`${rate}${reason}`))}::text[],
      ${rows.map(({ raw }) => Buffer.from(raw))}::bytea[],
      ${rows.map(({ rawBytes }) => rawBytes)}::int[],
      ${rows.map(({ recordCount }) => recordCount)}::int[],
      ${rows.map(({ isJson }) => isJson)}::boolean[]
    ) as dead_letter (received_micros, device_id, reason, raw, raw_bytes, record_count, is_json)
    order by device_id
    on conflict (device_id, minute) where minute is not null
    do update set record_count = stored.record_count + excluded.record_count`.execute(db);
}

function storableText(text: string): string {
  return text.replaceAll("\0", "\uFFFD");
}

/** The sequence of an entry has up to 19 digits, which can exceed a bigint column. */
function storableSequence(sequence: bigint | undefined): bigint | null {
  return sequence === undefined || sequence > limits.sequenceMax ? null : sequence;
}
