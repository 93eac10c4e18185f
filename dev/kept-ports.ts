import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isFree } from "./free-port.ts";

/** The loopback ports of PostgreSQL and Redis, which stay from start to start, so that other programs find them. */
export interface KeptPorts {
  readonly postgres: number;
  readonly redis: number;
}

/** Of the first start in a folder: outside of the range from which the system takes ports for connections. */
const firstPorts: KeptPorts = { postgres: 15_432, redis: 16_379 };
const titles = { postgres: "PostgreSQL", redis: "Redis" } as const;

const portsFile = (folder: string) => join(folder, "ports.json");

/** The ports of the last start; of the first one those to try. */
export function readKeptPorts(folder: string): KeptPorts {
  try {
    return { ...firstPorts, ...(JSON.parse(readFileSync(portsFile(folder), "utf8")) as Partial<KeptPorts>) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return firstPorts;
    throw error;
  }
}

/** Keeps the ports in use for the next start. Returns a line for each that another program took. */
export function keepPorts(folder: string, wanted: KeptPorts, used: KeptPorts): readonly string[] {
  writeFileSync(portsFile(folder), JSON.stringify(used), { mode: 0o600 });
  return (["postgres", "redis"] as const)
    .filter((part) => used[part] !== wanted[part])
    .map(
      (part) =>
        `Port ${wanted[part]} is in use by another program: ${titles[part]} has port ${used[part]}, from now on.`,
    );
}

/** Runs `start` with the port, and without one if another process has it. */
export async function onPreferredPort<T>(
  port: number | undefined,
  start: (port: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  if (port === undefined || !(await isFree(port))) return start({});
  try {
    return await start({ port: String(port) });
  } catch (error) {
    if (await isFree(port)) throw error; // else another process took it in between
    return start({});
  }
}
