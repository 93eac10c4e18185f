import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildDashboard } from "#dashboard/build.ts";
import { findBinary } from "#dev/binaries.ts";
import { type RunningPostgres, startPostgres } from "#dev/postgres.ts";
import { migrateToLatest } from "#postgres/migrate.ts";
import { ensureReader, parseRole } from "#postgres/reader-role.ts";
import { templateVariable, toGatewayUrl } from "./postgres.ts";

// Node calls these once around the whole run, in the process that starts the test files: one PostgreSQL serves all,
// each file takes databases of its own from the migrated template.

let postgres: RunningPostgres | undefined;

export async function globalSetup(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "postgres-"));
  const [running] = await Promise.all([
    startPostgres(folder, { shared_buffers: "64MB", max_connections: "200" }),
    findBinary("redis"),
    findBinary("nginx"),
    buildDashboard(),
  ]);
  postgres = running;
  await migrateToLatest(running.url);
  await ensureReader(running.url, parseRole(toGatewayUrl(running.url)));
  process.env[templateVariable] = running.url;
}

export async function globalTeardown(): Promise<void> {
  await postgres?.stop();
}
