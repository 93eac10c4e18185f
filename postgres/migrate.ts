import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Kysely, PostgresDialect, sql } from "kysely";
import { type Migration, type MigrationProvider, Migrator } from "kysely/migration";
import { Pool } from "pg";
import { ensurePartitions } from "./partitions.ts";
import type { Database } from "./tables.ts";

/** The result of {@link migrateToLatest}. */
export interface MigrateResult {
  /** Names of the migrations that were run, in order. */
  readonly migrations: readonly string[];
  /** Names of the partitions that were created. */
  readonly partitions: readonly string[];
}

/**
 * Migrates a database to the latest schema and creates partitions ahead. Safe to repeat, and to run several times at once:
 * Kysely's advisory lock admits one run at a time, and a run is one transaction, so a failure leaves the database
 * unchanged. Throws PostgreSQL's error.
 */
export async function migrateToLatest(databaseUrl: string): Promise<MigrateResult> {
  const pool = new Pool({
    connectionString: databaseUrl,
    application_name: "fleetlog-migrate",
    max: 2,
    connectionTimeoutMillis: 10_000,
    options: "-c client_min_messages=warning",
  });
  // A connection that fails while idle also fails the next query, which reports the error.
  pool.on("error", () => undefined);
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  try {
    // Branches merge in any order: a database that has a later number also gets an earlier one.
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

/** Names of the migrations that are not applied yet, in order. */
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
