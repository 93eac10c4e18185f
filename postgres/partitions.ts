import { type Kysely, sql, type Transaction } from "kysely";
import { databaseTime } from "./database-time.ts";
import type { Database } from "./tables.ts";

/*
 * record_batches has one partition per day of arrival (UTC). They are created a week ahead, so that a consumer that was down for
 * days finds them for the batches that arrived meanwhile; record_batches_default gets all other records.
 */

export const dayMs = 86_400_000;

/** Enough to survive a long weekend without any consumer. */
const daysAheadDefault = 7;

/**
 * Creates the missing partitions from `daysBack` days before `now` (by default PostgreSQL's clock) to `daysAhead` days
 * after it, and returns their names. An advisory lock admits one caller at a time. Moves the rows of such a day from
 * record_batches_default; meanwhile writers to record_batches_default wait, and one with a row of such a day then gets a
 * check_violation (23514): its retry finds the new partition.
 */
export async function ensurePartitions(
  db: Kysely<Database>,
  {
    now,
    daysAhead = daysAheadDefault,
    daysBack = 1,
  }: { now?: Date; daysAhead?: number; daysBack?: number } = {},
): Promise<readonly string[]> {
  const today = Math.floor((now ?? (await databaseTime(db))).getTime() / dayMs);
  const length = daysBack + 1 + daysAhead;
  const days = Array.from({ length }, (_, index) => (today - daysBack + index) * dayMs);
  const wanted = days.map((startMs) => ({ startMs, name: partitionName(startMs) }));
  if ((await missing(db, wanted)).length === 0) return [];
  return await db.transaction().execute(async (transaction) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('fleetlog partitions', 0))`.execute(transaction);
    const toCreate = await missing(transaction, wanted);
    for (const day of toCreate) await createPartition(transaction, day);
    return toCreate.map(({ name }) => name);
  });
}

/** Consecutive days after that of `now` that have a partition; -1 when the day of `now` has none. */
export async function partitionsAhead(db: Kysely<Database>, now?: Date): Promise<number> {
  const today = Math.floor((now ?? (await databaseTime(db))).getTime() / dayMs);
  const days = Array.from({ length: daysAheadDefault + 1 }, (_, index) => (today + index) * dayMs);
  const gaps = await missing(
    db,
    days.map((startMs) => ({ startMs, name: partitionName(startMs) })),
  );
  const [gap] = gaps;
  return gap === undefined ? daysAheadDefault : gap.startMs / dayMs - today - 1;
}

interface Day {
  readonly startMs: number;
  readonly name: string;
}

/** `record_batches_20260131` for the day that begins at `startMs`. */
export function partitionName(startMs: number): string {
  return `record_batches_${new Date(startMs).toISOString().slice(0, 10).replaceAll("-", "")}`;
}

/** The smallest id of a batch that was received at `ms` since 1970. */
export function firstBatchIdAt(ms: number): bigint {
  return BigInt(ms) << 20n;
}

async function missing(db: Kysely<Database>, days: readonly Day[]): Promise<readonly Day[]> {
  const { rows } = await sql<{ name: string }>`
    select inhrelid::regclass::text as name from pg_inherits where inhparent = 'record_batches'::regclass`.execute(
    db,
  );
  const existing = new Set(rows.map(({ name }) => name));
  return days.filter(({ name }) => !existing.has(name));
}

/**
 * Creates a separate table, moves the rows of that day from record_batches_default into it, then attaches it: PostgreSQL refuses
 * to attach a day that has rows in record_batches_default. The lock blocks new ones in between.
 */
async function createPartition(transaction: Transaction<Database>, { startMs, name }: Day): Promise<void> {
  const table = sql.table(name);
  const from = sql.lit(String(firstBatchIdAt(startMs)));
  const to = sql.lit(String(firstBatchIdAt(startMs + dayMs)));
  // Rows are only inserted: autovacuum may freeze every row at once, and never reads it again.
  await sql`
    create table ${table} (like record_batches including defaults including constraints including storage including compression)
    with (autovacuum_freeze_min_age = 0)`.execute(transaction);
  await sql`lock table record_batches_default in access exclusive mode`.execute(transaction);
  await sql`
    with moved as (delete from record_batches_default where batch_id >= ${from} and batch_id < ${to} returning *)
    insert into ${table} select * from moved`.execute(transaction);
  await sql`alter table record_batches attach partition ${table} for values from (${from}) to (${to})`.execute(
    transaction,
  );
  await sql`select give_batch_id_statistics(${sql.lit(name)})`.execute(transaction);
}
