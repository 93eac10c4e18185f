import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { type RunningPostgres, startPostgres } from "#dev/postgres.ts";
import { migrateToLatest } from "#postgres/migrate.ts";

const settings = { shared_buffers: "32MB", max_connections: "40" };

/** A PostgreSQL of its own, migrated, and a streaming replica of it. Either may be stopped before the end. */
export interface PostgresPair {
  readonly primary: RunningPostgres;
  readonly replica: RunningPostgres;
  [Symbol.asyncDispose](): PromiseLike<void>;
}

/** The replica begins with a copy of the stopped primary's files, as its first backup. */
export async function startPostgresPair(): Promise<PostgresPair> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-pair-"));
  started.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  await chmod(folder, 0o755); // PostgreSQL may run as another user
  const folders = { primary: join(folder, "primary"), replica: join(folder, "replica") };
  const first = await startPostgres(folders.primary, settings);
  await migrateToLatest(first.url);
  await first.stop();
  await execa("cp", ["-a", folders.primary, folders.replica]); // with their owner, as fs.cp would not

  const primary = await startPostgres(folders.primary, settings);
  started.defer(() => primary.stop());
  const { hostname, port, username, password } = new URL(primary.url);
  await writeFile(join(folders.replica, "postgres/standby.signal"), "");
  const replica = await startPostgres(folders.replica, {
    ...settings,
    primary_conninfo: `host=${hostname} port=${port} user=${username} password=${password}`,
    wal_retrieve_retry_interval: "200ms",
  });
  started.defer(() => replica.stop());
  const stack = started.move();
  return { primary, replica, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
