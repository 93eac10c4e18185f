import { type Kysely, sql } from "kysely";
import type { Database } from "./tables.ts";

/** The expired days (UTC) of one table, such as "2026-01-31". */
export interface ExpiredDays {
  readonly table: string;
  readonly days: readonly string[];
}

/** The same with the number of rows and bytes. */
export interface CountedDays extends ExpiredDays {
  readonly rows: number;
  /** On disk with indexes for whole partitions, else of the rows alone. */
  readonly bytes: number;
}

/** A request of retention to confirm a removal. */
export interface RetentionRequest {
  readonly id: number;
  readonly askedAt: Date;
  readonly reasons: readonly string[];
  readonly plan: readonly CountedDays[];
  readonly isConfirmed: boolean;
}

/** The newest closed requests that are kept. */
const historyMax = 100;

/** Reads the pending request, if there is one. */
export async function openRequest(db: Kysely<Database>): Promise<RetentionRequest | undefined> {
  const { rows } = await sql<RetentionRequest>`
    select id, asked_at as "askedAt", reasons, plan, confirmed_at is not null as "isConfirmed"
    from retention_requests where done_at is null order by id desc limit 1`.execute(db);
  return rows[0];
}

/** Inserts a request, which supersedes the pending one. Returns its id. */
export async function askForRetention(
  db: Kysely<Database>,
  reasons: readonly string[],
  plan: readonly CountedDays[],
): Promise<number> {
  await closeRequests(db);
  const { rows } = await sql<{ id: number }>`
    insert into retention_requests (reasons, plan) values (${[...reasons]}::text[], ${JSON.stringify(plan)}::jsonb)
    returning id`.execute(db);
  const id = rows[0]?.id ?? 0;
  await sql`delete from retention_requests where id <= ${id - historyMax}`.execute(db);
  return id;
}

/** Closes the pending request. */
export async function closeRequests(db: Kysely<Database>): Promise<void> {
  await sql`update retention_requests set done_at = clock_timestamp() where done_at is null`.execute(db);
}

/** Returns false when this request is not pending: it was superseded, is closed, or never existed. */
export async function confirmRequest(db: Kysely<Database>, id: number): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update retention_requests set confirmed_at = coalesce(confirmed_at, clock_timestamp())
    where id = ${id} and done_at is null`.execute(db);
  return numAffectedRows === 1n;
}
