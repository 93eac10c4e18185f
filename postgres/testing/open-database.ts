import { Kysely, PostgresDialect } from "kysely";
import { Pool } from "pg";
import type { Database } from "../tables.ts";

/** Typed queries to a database of a test; closed with `await using`. */
export function openDatabase(url: string): Kysely<Database> {
  return new Kysely<Database>({
    dialect: new PostgresDialect({ pool: new Pool({ connectionString: url }) }),
  });
}
