import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { tieToProcess, waitForChild } from "#test/support/own-child.ts";
import { type Fixture, shardCount } from "./fixture.ts";

interface Line {
  readonly msg: string;
  readonly admin?: string;
}

/** Starts the program in a process of its own; killed with its fixture. */
export async function startProgram(fixture: Fixture, env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../main.ts")], {
    env: {
      PATH: "",
      DATABASE_URL: fixture.databaseUrl,
      REDIS_URL: fixture.redisUrl,
      STREAM_SHARDS: String(shardCount),
      CONSUMER_NAME: "consumer-1",
      FLUSH_INTERVAL_MS: "5",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  tieToProcess(child);
  const exited = once(child, "exit");
  fixture.stack.defer(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  const lines: Line[] = [];
  createInterface(child.stdout).on("line", (line) => lines.push(JSON.parse(line) as Line));
  const logged = (msg: string) =>
    waitForChild(child, `"${msg}"`, () => lines.find((line) => line.msg.startsWith(msg)));
  return { child, exited, logged };
}
