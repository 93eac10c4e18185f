import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RunningSystem } from "./system.ts";

// The addresses of a running `npm start`, for commands beside it; for their owner alone, since they contain passwords.

/** As environment of the doctor and of `fleetlog dead-letters`. */
const notesFile = (folder: string) => join(folder, "doctor.json");
/** As arguments of psql and redis-cli. */
const urlFiles = (folder: string) => ({
  postgres: join(folder, "postgres.url"),
  redis: join(folder, "redis.url"),
});

/** Written once everything runs. Returns the files with the URLs of the database and of Redis. */
export async function writeNotes(
  folder: string,
  system: RunningSystem,
  serverEnv: Readonly<Record<string, string>> = {},
): Promise<{ readonly postgres: string; readonly redis: string }> {
  const { servers, consumers, gateway, nginx, redis, postgres, databaseUrl } = system;
  const ready = [...servers, ...consumers, gateway].map(({ addresses }) => addresses.admin ?? addresses.http);
  const notes = {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis.urlFor("doctor"),
    DOCTOR_READY: ready.join(","),
    DOCTOR_HTTP: nginx.http,
    DOCTOR_GRPC: nginx.grpc,
    DOCTOR_NGINX_VERSION: nginx.version,
    DOCTOR_NGINX_CONF: nginx.configFile,
    DOCTOR_DISKS: [...new Set([folder, postgres?.data ?? folder])].join(","),
    OPERATOR_REDIS_URL: redis.urlFor("consumer"),
    STREAM_SHARDS: serverEnv["STREAM_SHARDS"] ?? "",
  };
  const files = urlFiles(folder);
  await writeFile(files.postgres, databaseUrl, { mode: 0o600 });
  await writeFile(files.redis, redis.url, { mode: 0o600 });
  await writeFile(notesFile(folder), JSON.stringify(notes), { mode: 0o600 });
  return files;
}

/** Removed when everything has stopped. */
export async function removeNotes(folder: string): Promise<void> {
  for (const file of [notesFile(folder), ...Object.values(urlFiles(folder))]) await rm(file, { force: true });
}

/** Undefined when nothing runs. */
export async function readNotes(folder: string): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    return JSON.parse(await readFile(notesFile(folder), "utf8")) as Record<string, string>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
