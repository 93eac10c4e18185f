import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RunningSystem } from "./system.ts";

// The addresses of a running `npm start`, as environment for doctor/main.ts. Contains passwords of
// PostgreSQL and Redis.

const notesFile = (folder: string) => join(folder, "doctor.json");

/** Written once everything runs. */
export async function writeDoctorNotes(folder: string, system: RunningSystem): Promise<void> {
  const { servers, consumer, gateway, nginx, redis, postgres, databaseUrl } = system;
  const ready = [...servers, consumer, gateway].map(({ addresses }) => addresses.admin ?? addresses.http);
  const notes = {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis.urlFor("doctor"),
    DOCTOR_READY: ready.join(","),
    DOCTOR_HTTP: nginx.http,
    DOCTOR_GRPC: nginx.grpc,
    DOCTOR_NGINX_VERSION: nginx.version,
    DOCTOR_NGINX_CONF: nginx.configFile,
    DOCTOR_DISKS: [...new Set([folder, postgres?.data ?? folder])].join(","),
  };
  await writeFile(notesFile(folder), JSON.stringify(notes), { mode: 0o600 });
}

/** Removed when everything has stopped. */
export async function removeDoctorNotes(folder: string): Promise<void> {
  await rm(notesFile(folder), { force: true });
}

/** Undefined when nothing runs. */
export async function readDoctorNotes(folder: string): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    return JSON.parse(await readFile(notesFile(folder), "utf8")) as Record<string, string>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
