import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Redis } from "ioredis";
import { decodeEntry, type Entry } from "#stream/entry.ts";
import { streamKey } from "#stream/keys.ts";
import { tieToProcess, waitForChild } from "#test/support/own-child.ts";
import { startRedis, type TestRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";

const shards = 2;

/** A test, or the `after` of node:test for a whole file. */
export interface Scope {
  after(cleanUp: () => unknown): void;
}

/** The real program, in a process of its own, on free ports. */
export interface ServerProgram {
  readonly pid: number;
  readonly grpc: string;
  readonly http: string;
  readonly admin: string;
  /** Everything it logged, one object a line. */
  readonly log: readonly Record<string, unknown>[];
  readonly exited: Promise<number | null>;
  readyz(): Promise<{ status: number; text: string }>;
  /** The value of a metric; `series` is its name with its labels in part, such as `x_total{outcome="overloaded"`. */
  metric(series: string): Promise<number>;
}

export interface ServerAndRedis {
  readonly redis: TestRedis;
  readonly server: ServerProgram;
  /** The entries of one session, in all shards. */
  readonly entries: (sessionId: string) => Promise<Entry[]>;
}

/** Starts a Redis and a server for the scope, and stops both after it. Waits until the server is ready. */
export async function startServerAndRedis(
  scope: Scope,
  env: Readonly<Record<string, string>> = {},
): Promise<ServerAndRedis> {
  const redis = await startRedis();
  scope.after(() => redis[Symbol.asyncDispose]());
  const server = await startServer(scope, redis.url, env);
  await waitFor("the server to be ready", async () => (await server.readyz()).status === 200);
  return { redis, server, entries: (sessionId) => readEntries(redis.url, sessionId) };
}

export async function startServer(
  scope: Scope,
  redisUrl: string,
  env: Readonly<Record<string, string>> = {},
): Promise<ServerProgram> {
  const free = "127.0.0.1:0";
  const child = spawn(process.execPath, [new URL("../main.ts", import.meta.url).pathname], {
    env: {
      PATH: process.env["PATH"],
      REDIS_URL: redisUrl,
      STREAM_SHARDS: String(shards),
      ADMIN_LISTEN: free,
      HTTP_LISTEN: free,
      GRPC_LISTEN: free,
      GRPC_FAST_PATH: process.env["GRPC_FAST_PATH"], // set by grpc/on-grpc-js.test.ts
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  tieToProcess(child);
  const exited = once(child, "exit").then(([code]) => code as number | null);
  scope.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exited;
  });
  const log: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    log.push(JSON.parse(line) as Record<string, unknown>);
  });
  const ready = await waitForChild(child, "the server's addresses", () =>
    log.find(({ msg }) => msg === "ready"),
  );
  return serverProgram(child, log, exited, ready as Record<"grpc" | "http" | "admin", string>);
}

function serverProgram(
  child: ChildProcess,
  log: readonly Record<string, unknown>[],
  exited: Promise<number | null>,
  { grpc, http, admin }: Readonly<Record<"grpc" | "http" | "admin", string>>,
): ServerProgram {
  return {
    pid: child.pid ?? 0,
    grpc,
    http,
    admin,
    log,
    exited,
    async readyz() {
      const response = await fetch(`http://${admin}/readyz`);
      return { status: response.status, text: await response.text() };
    },
    async metric(series) {
      const text = await (await fetch(`http://${admin}/metrics`)).text();
      const line = text.split("\n").find((line) => line.startsWith(series));
      return Number(line?.split(" ").at(-1) ?? 0);
    },
  };
}

async function readEntries(url: string, sessionId: string): Promise<Entry[]> {
  const redis = new Redis(url);
  try {
    const raw = await Promise.all(
      Array.from({ length: shards }, (_, shard) => redis.xrangeBuffer(streamKey(shard), "-", "+")),
    );
    const entries = raw.flat().map(([, fields]) => decodeEntry(fields));
    return entries.filter((entry) => entry.sessionId === sessionId);
  } finally {
    redis.disconnect();
  }
}
