import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Kysely, PostgresDialect, sql } from "kysely";
import { type Migration, type MigrationProvider, Migrator } from "kysely/migration";
import { Pool } from "pg";
import { ensurePartitions } from "./partitions.ts";
import type { Database } from "./tables.ts";

/** What {@link migrateToLatest} did. */
export interface MigrateResult {
  /** Names of the migrations that were run, in order. */
  readonly migrations: readonly string[];
  /** Names of the partitions that were created. */
  readonly partitions: readonly string[];
}

/**
 * Brings a database to the latest schema and creates partitions ahead. Safe to run again and by several at once:
 * Kysely's advisory lock lets one through at a time, and all of a run is one transaction, so that a failure
 * leaves the database as it was. Throws what PostgreSQL threw.
 */
export async function migrateToLatest(databaseUrl: string): Promise<MigrateResult> {
  const pool = new Pool({
    connectionString: databaseUrl,
    application_name: "fleetlog-migrate",
    max: 2,
    connectionTimeoutMillis: 10_000,
    options: "-c client_min_messages=warning",
  });
  // A connection that dies while idle also fails the query that needs it next, which is the one to report.
  pool.on("error", () => undefined);
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  try {
    // Work that goes on side by side lands in any order; a database that has the later number gets the earlier one too.
    const migrator = new Migrator({ db, provider, allowUnorderedMigrations: true });
    const { error, results } = await migrator.migrateToLatest();
    if (error !== undefined) throw error;
    return {
      migrations: (results ?? []).map(({ migrationName }) => migrationName),
      partitions: await ensurePartitions(db),
    };
  } finally {
    await db.destroy();
  }
}

/** Names of the migrations that this database has not seen, in order. */
export async function pendingMigrations(db: Kysely<Database>): Promise<readonly string[]> {
  const known = await new Migrator({ db, provider }).getMigrations();
  return known.filter(({ executedAt }) => executedAt === undefined).map(({ name }) => name);
}

/** The files of `migrations/`, named `NNNN-what-it-does.sql` and run in that order. */
const provider: MigrationProvider = {
  async getMigrations() {
    const folder = join(import.meta.dirname, "migrations");
    const files = (await readdir(folder)).filter((file) => file.endsWith(".sql"));
    const migrations = await Promise.all(
      files.map(async (file): Promise<[string, Migration]> => {
        const text = await readFile(join(folder, file), "utf8");
        return [file.slice(0, -".sql".length), { up: async (db) => void (await sql.raw(text).execute(db)) }];
      }),
    );
    return Object.fromEntries(migrations);
  },
};
