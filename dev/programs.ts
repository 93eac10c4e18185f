import { existsSync } from "node:fs";
import { join } from "node:path";
import { Child, StartError } from "./child.ts";
import { projectFolder } from "./folders.ts";

export type ProgramName = "server" | "consumer" | "gateway";

export interface RunningProgram {
  readonly name: string;
  /** host:port of each listener, as the program reported when it was ready: `grpc`, `http`, `admin`. */
  readonly addresses: Readonly<Record<string, string>>;
  readonly pid: number;
  readonly child: Child;
  stop(): Promise<void>;
}

export interface ProgramOptions {
  readonly program: ProgramName;
  /** For messages, and as the name of its log: "server-1". */
  readonly name: string;
  /** The whole environment of the program, besides PATH. */
  readonly env: Readonly<Record<string, string>>;
  /** For logs and pid files. */
  readonly folder: string;
  /** Before Node's script, such as `--cpu-prof`. */
  readonly nodeArgs?: readonly string[];
  readonly readyWithinMs?: number;
  /** Ends the wait for its being ready. */
  readonly signal?: AbortSignal;
}

/** Starts one of our programs; ready when its log says so and its /readyz agrees. */
export async function startProgram(options: ProgramOptions): Promise<RunningProgram> {
  const { program, name, env, folder } = options;
  const script = join(projectFolder, program, "main.ts");
  if (!existsSync(script)) throw new StartError(`${program}/main.ts is missing: the clone is incomplete.`);
  const child = await Child.start({
    name,
    command: process.execPath,
    args: [...(options.nodeArgs ?? []), script],
    env: { PATH: process.env.PATH ?? "", NODE_ENV: "production", ...env },
    cwd: projectFolder,
    logFile: join(folder, `logs/${name}.log`),
    pidFile: join(folder, `run/${name}.pid`),
    ...(options.signal && { signal: options.signal }),
  });
  let reasons = "it does not listen yet";
  const addresses = await child.until(
    async () => {
      const found = readyAddresses(child.output());
      if (!found) return undefined;
      reasons = await whyNotReady(found.admin ?? found.http ?? "");
      return reasons === "" ? found : undefined;
    },
    options.readyWithinMs ?? 20_000,
    () => reasons,
  );
  return { name, addresses, pid: child.pid, child, stop: () => child.stop() };
}

/** Every program logs one JSON line with the message "ready" and its real addresses. */
function readyAddresses(log: string): Record<string, string> | undefined {
  const line = log.split("\n").find((text) => text.includes('"msg":"ready"') && text.endsWith("}"));
  if (!line) return undefined;
  const entries = Object.entries(JSON.parse(line) as Record<string, unknown>);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => ["grpc", "http", "admin"].includes(entry[0])),
  );
}

async function whyNotReady(admin: string): Promise<string> {
  try {
    const response = await fetch(`http://${admin}/readyz`, { signal: AbortSignal.timeout(2_000) });
    return response.ok ? "" : (await response.text()).trim().replaceAll("\n", "; ");
  } catch (error) {
    return `/readyz does not answer (${String(error)})`;
  }
}
