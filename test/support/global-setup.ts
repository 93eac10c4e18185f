import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPart } from "#local/parts.ts";
import { startPostgres } from "#local/postgres.ts";
import { migrateToLatest } from "#postgres/migrate.ts";
import { templateVariable } from "./postgres.ts";

// Node calls these once around the whole run, in the process that starts the test files: one PostgreSQL serves all,
// each file takes databases of its own from the migrated template.

let stop: (() => Promise<void>) | undefined;

export async function globalSetup(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-test-"));
  await chmod(folder, 0o755); // PostgreSQL may run as another user
  const [postgres] = await Promise.all([
    startPostgres(folder, { shared_buffers: "64MB", max_connections: "200" }),
    findPart("redis"),
    findPart("nginx"),
  ]);
  stop = async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
  await migrateToLatest(postgres.url);
  process.env[templateVariable] = postgres.url;
}

export async function globalTeardown(): Promise<void> {
  await stop?.();
}
