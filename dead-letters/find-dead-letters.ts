import type { Kysely, RawBuilder } from "kysely";
import { sql } from "kysely";
import type { Database } from "#postgres/tables.ts";

/**
 * record: one record of a batch; batch: a valid entry that could not be stored; entry: a malformed one;
 * count: a number of records that were not kept.
 */
export type DeadLetterKind = (typeof deadLetterKinds)[number];
export const deadLetterKinds = ["record", "batch", "entry", "count"] as const;

/** A row of dead_letters. */
export interface DeadLetter {
  readonly id: bigint;
  readonly kind: DeadLetterKind;
  readonly at: Date;
  /** Undefined when the entry had none. */
  readonly receivedAtMicros: number | undefined;
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: bigint;
  /** Set for a record only. */
  readonly index: number | undefined;
  readonly reason: string;
  readonly raw: Buffer;
  /** The record is here as JSON text, not as an encoded LogRecord. */
  readonly isJson: boolean;
  /** The number of records that it represents. */
  readonly recordCount: number;
  /** Before anything was cut off. */
  readonly rawBytes: number;
  readonly replayedAt: Date | undefined;
  readonly replayedBatch: bigint | undefined;
}

/** All conditions must match. */
export interface DeadLetterFilter {
  readonly ids?: readonly bigint[];
  readonly deviceId?: string | undefined;
  /** A substring of the reason, case-insensitive. */
  readonly reason?: string | undefined;
  readonly kind?: DeadLetterKind | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly replayed?: boolean | undefined;
}

const kindSql = sql<DeadLetterKind>`case when idx is not null then 'record' when entry is null then 'count'
  when device_id is not null then 'batch' else 'entry' end`;

/** The newest dead letters, at most `limit`. */
export async function findDeadLetters(
  db: Kysely<Database>,
  filter: DeadLetterFilter,
  countMax: number,
): Promise<readonly DeadLetter[]> {
  const { rows } = await sql<Row>`
    select id, ${kindSql} as kind, at, (extract(epoch from received_at) * 1000000)::bigint as received_micros,
      device_id, session_id, sequence, idx, reason, raw, raw_bytes, is_json,
      record_count, replayed_at, replayed_batch
    from dead_letters where ${conditions(filter)} order by id desc limit ${countMax}`.execute(db);
  return rows.map((row) => ({
    id: BigInt(row.id),
    kind: row.kind,
    at: row.at,
    receivedAtMicros: row.received_micros === null ? undefined : Number(row.received_micros),
    deviceId: row.device_id ?? "",
    sessionId: row.session_id ?? "",
    sequence: BigInt(row.sequence ?? 0),
    index: row.idx ?? undefined,
    reason: row.reason,
    raw: row.raw,
    isJson: row.is_json,
    recordCount: row.record_count,
    rawBytes: row.raw_bytes,
    replayedAt: row.replayed_at ?? undefined,
    replayedBatch: row.replayed_batch === null ? undefined : BigInt(row.replayed_batch),
  }));
}

function conditions({
  ids,
  deviceId,
  reason,
  kind,
  since,
  until,
  replayed,
}: DeadLetterFilter): RawBuilder<boolean> {
  const all: RawBuilder<boolean>[] = [sql`true`];
  if (ids && ids.length > 0) all.push(sql`id = any(${ids.map(String)}::bigint[])`);
  if (deviceId !== undefined) all.push(sql`device_id = ${deviceId}`);
  if (reason !== undefined) all.push(sql`strpos(lower(reason), lower(${reason})) > 0`);
  if (kind !== undefined) all.push(sql`${kindSql} = ${kind}`);
  if (since !== undefined) all.push(sql`at >= ${since}`);
  if (until !== undefined) all.push(sql`at < ${until}`);
  if (replayed !== undefined) all.push(sql`(replayed_at is not null) = ${replayed}`);
  return sql.join(all, sql` and `);
}

interface Row {
  readonly id: string;
  readonly kind: DeadLetterKind;
  readonly at: Date;
  readonly received_micros: string | null;
  readonly device_id: string | null;
  readonly session_id: string | null;
  readonly sequence: string | null;
  readonly idx: number | null;
  readonly reason: string;
  readonly raw: Buffer;
  readonly raw_bytes: number;
  readonly is_json: boolean;
  readonly record_count: number;
  readonly replayed_at: Date | null;
  readonly replayed_batch: string | null;
}
