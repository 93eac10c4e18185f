import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { Child } from "./child.ts";
import { onFreePort } from "./free-port.ts";
import { findPart } from "./parts.ts";

export interface RunningRedis {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly child: Child;
  stop(): Promise<void>;
}

/**
 * What Fleetlog needs of Redis: an acknowledged append is on disk, nothing but the cache is ever evicted, and no
 * failed background save ever stops writes.
 */
const settings = {
  appendonly: "yes",
  appendfsync: "always",
  "no-appendfsync-on-rewrite": "no",
  "auto-aof-rewrite-percentage": "100",
  // A rewrite copies every batch that live tail may still want; at Redis's 64mb it doubles its CPU time under load.
  "auto-aof-rewrite-min-size": "512mb",
  // And compressing them takes longer than writing them: 1.4 s of CPU time for 300 MB.
  rdbcompression: "no",
  save: '""',
  "maxmemory-policy": "volatile-lru",
  maxmemory: "1gb",
};

/** Starts Redis on a free loopback port with its data in `folder`/redis; ready when it answers PING. */
export async function startRedis(
  folder: string,
  overrides: Readonly<Record<string, string>> = {},
): Promise<RunningRedis> {
  const part = await findPart("redis");
  const data = join(folder, "redis");
  await mkdir(data, { recursive: true });
  return onFreePort(async (freePort) => {
    const all = {
      bind: "127.0.0.1",
      port: String(freePort),
      dir: `"${data}"`,
      ...settings,
      ...overrides,
    };
    const port = Number(all.port);
    const configFile = join(folder, "redis.conf");
    await writeFile(
      configFile,
      Object.entries(all)
        .map(([name, value]) => `${name} ${value === "" ? '""' : value}\n`)
        .join(""),
    );
    const child = await Child.start({
      name: "Redis",
      command: part.command,
      args: [configFile],
      env: { ...part.env, LANG: "C" },
      cwd: data,
      advice: `Its data is in ${data}: to begin anew, move that folder away (batches not yet in PostgreSQL are then gone).`,
      logFile: join(folder, "logs/redis.log"),
      pidFile: join(folder, "run/redis.pid"),
    });
    // Loading a large append-only file takes time: about 1 s per 100 MB.
    await child.until(async () => ((await answersPing(port)) ? true : undefined), 60_000);
    return { url: `redis://127.0.0.1:${port}`, port, pid: child.pid, child, stop: () => child.stop() };
  });
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    const answer = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.setTimeout(1_000, () => answer(false));
    socket.on("error", () => answer(false)); // not listening yet
    socket.on("data", (data) => answer(data.toString().startsWith("+PONG")));
  });
}
