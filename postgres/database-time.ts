import { type Kysely, sql } from "kysely";
import type { Database } from "./tables.ts";

/** Reads PostgreSQL's clock. Retention and partitions use it, so that all processes agree. */
export async function databaseTime(db: Kysely<Database>): Promise<Date> {
  const { rows } = await sql<{ ms: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`.execute(db);
  return new Date(rows[0]?.ms ?? Number.NaN);
}
