import { type Kysely, sql } from "kysely";
import type { Database } from "./tables.ts";

/** The clock of PostgreSQL. What removes by time, or prepares for it, asks this one: all processes then agree. */
export async function databaseTime(db: Kysely<Database>): Promise<Date> {
  const { rows } = await sql<{ ms: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`.execute(db);
  return new Date(rows[0]?.ms ?? Number.NaN);
}
