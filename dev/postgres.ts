import { randomBytes } from "node:crypto";
import { chown, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { Client } from "pg";
import { Child, StartError } from "./child.ts";
import { keepData } from "./folders.ts";
import { onFreePort } from "./free-port.ts";
import { type PostgresUser, postgresBinaries, postgresUser, reachableFolder } from "./postgres-user.ts";
import { disownPostmaster } from "./postmaster-pid.ts";

export interface RunningPostgres {
  /** The database `fleetlog`, as its owner and superuser. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Its data folder. */
  readonly data: string;
  readonly child: Child;
  stop(): Promise<void>;
}

const major = "18";

const defaults = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "100",
  shared_buffers: "128MB",
  max_wal_size: "2GB",
  fsync: "on",
  synchronous_commit: "on",
  timezone: "UTC",
  log_timezone: "UTC",
};

/**
 * Starts PostgreSQL on a free loopback port, or that of `settings`, with its data in `folder`/postgres (elsewhere when the user it must run
 * as cannot reach that), creating the cluster and the database `fleetlog` the first time.
 */
export async function startPostgres(
  folder: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<RunningPostgres> {
  const user = postgresUser();
  const bin = await postgresBinaries(user);
  const data = reachableFolder(folder, "postgres", user);
  const password = await createOrCheckCluster(bin, data, folder, user);
  return onFreePort(async (freePort) => {
    disownPostmaster(data);
    const options = Object.entries({ ...defaults, port: String(freePort), ...settings });
    const port = Number(settings.port ?? freePort);
    const child = await Child.start({
      name: "PostgreSQL",
      command: join(bin, "postgres"),
      args: ["-D", data, ...options.flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      env: { LANG: "C", PATH: "/usr/bin:/bin" },
      cwd: data,
      user,
      logFile: join(folder, "logs/postgres.log"),
      pidFile: join(folder, "run/postgres.pid"),
      advice: `Its data in ${data} is as it was. ${keepData}`,
      stopSignal: "SIGINT", // "fast": ends sessions, keeps every commit
    });
    const url = (database: string) => `postgres://fleetlog:${password}@127.0.0.1:${port}/${database}`;
    // Recovery after a crash replays at most max_wal_size.
    await child.until(() => databaseExists(url("postgres")), 120_000);
    return { url: url("fleetlog"), port, pid: child.pid, data, child, stop: () => child.stop() };
  });
}

/** Creates the cluster, or verifies the existing one; returns the password of the user `fleetlog`. */
async function createOrCheckCluster(
  bin: string,
  data: string,
  folder: string,
  user: PostgresUser | undefined,
): Promise<string> {
  const passwordFile = join(folder, "postgres.password");
  const version = await readIfThere(join(data, "PG_VERSION"));
  if (version === undefined) {
    const password = randomBytes(16).toString("hex");
    await createCluster(bin, data, password, user);
    await writeFile(passwordFile, password, { mode: 0o600 });
    return password;
  }
  if (version.trim() !== major) {
    throw new StartError(
      `The data in ${data} is of PostgreSQL ${version.trim()}, this is ${major}: run pg_upgrade on it. ${keepData}`,
    );
  }
  const password = await readIfThere(passwordFile);
  if (password) return password;
  throw new StartError(`${passwordFile} is missing, but ${data} has data: restore that file. ${keepData}`);
}

/** Whether initdb finds the programs beside it: it starts them by a shell, in double quotes. */
export function canRunInitdb(bin: string): boolean {
  return !/[$"\\`]/.test(bin);
}

/**
 * Creates the cluster beside its final place and renames it, so that an interrupted first start leaves
 * nothing partial.
 */
async function createCluster(bin: string, data: string, password: string, user: PostgresUser | undefined) {
  if (!canRunInitdb(bin)) {
    throw new StartError(
      `PostgreSQL's initdb runs ${bin}/postgres in a shell and does not quote $, ", \\ and \` in its path: move the project to a folder without them.`,
    );
  }
  await mkdir(dirname(data), { recursive: true });
  const stage = await mkdtemp(join(dirname(data), "postgres.creating-"));
  try {
    const passwordFile = join(stage, "password");
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (user) for (const path of [stage, passwordFile]) await chown(path, user.uid, user.gid);
    const done = await execa(
      join(bin, "initdb"),
      [
        `--pgdata=${join(stage, "data")}`,
        `--pwfile=${passwordFile}`,
        "--username=fleetlog",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        "--no-sync",
      ],
      { cwd: stage, reject: false, ...user, env: { LANG: "C" } },
    );
    if (done.failed)
      throw new StartError(`PostgreSQL could not create its data folder ${data}: ${done.stderr.trim()}`);
    await rm(data, { recursive: false, force: true }).catch(() => {}); // succeeds only for an empty file or nothing
    await rename(join(stage, "data"), data).catch((error: Error) => {
      throw new StartError(
        `${data} is there and no data folder of PostgreSQL (${error.message}). ${keepData}`,
      );
    });
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** True once the database `fleetlog` exists, creating it; undefined while the server refuses connections. */
async function databaseExists(url: string): Promise<true | undefined> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {}); // reported by the query it interrupts
  try {
    await client.connect();
    const found = await client.query("SELECT FROM pg_database WHERE datname = 'fleetlog'");
    if (found.rowCount === 0) await client.query("CREATE DATABASE fleetlog");
    return true;
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "ECONNREFUSED" || code === "ECONNRESET" || code === "57P03") return undefined;
    throw new StartError(`PostgreSQL is running but refuses the connection: ${String(error)}`);
  } finally {
    await client.end().catch(() => {}); // it never connected
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
