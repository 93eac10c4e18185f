import { chmod, mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { findBinary } from "./binaries.ts";
import { Child } from "./child.ts";
import { keepData } from "./folders.ts";
import { onFreePort } from "./free-port.ts";
import { asRedisUser, type RedisUserName, type RedisUsers } from "./redis-users.ts";

export interface RunningRedis {
  /** With the user that may run every command. */
  readonly url: string;
  /** With one program's user; equals `url` when there are no users. */
  readonly urlFor: (user: RedisUserName) => string;
  readonly port: number;
  readonly pid: number;
  readonly child: Child;
  stop(): Promise<void>;
}

/**
 * The settings that Fleetlog requires: an acknowledged append is on disk, only the cache is ever evicted,
 * and no failed background save stops writes.
 */
const settings = {
  appendonly: "yes",
  appendfsync: "always",
  "no-appendfsync-on-rewrite": "no",
  "auto-aof-rewrite-percentage": "100",
  // A rewrite copies every batch that live tail may still want; at Redis's 64mb it doubles its CPU time under load.
  "auto-aof-rewrite-min-size": "512mb",
  // Compressing takes longer than writing: 1.4 s of CPU time for 300 MB.
  rdbcompression: "no",
  save: '""',
  "maxmemory-policy": "volatile-lru",
  maxmemory: "1gb",
};

/**
 * Starts Redis on a free loopback port with its data in `folder`/redis, which only its owner can read;
 * ready when it responds to PING. With `users`, only they have access; without, everyone has full access,
 * as suits a test's own Redis.
 */
export async function startRedis(
  folder: string,
  overrides: Readonly<Record<string, string>> = {},
  users?: RedisUsers,
): Promise<RunningRedis> {
  const binary = await findBinary("redis");
  const data = join(folder, "redis");
  await mkdir(data, { recursive: true });
  await chmod(data, 0o700);
  return onFreePort(async (freePort) => {
    const all = {
      bind: "127.0.0.1",
      port: String(freePort),
      dir: quote(data),
      ...settings,
      ...(users && { aclfile: quote(users.aclFile) }),
      ...overrides,
    };
    const port = Number(all.port);
    const configFile = join(folder, "redis.conf");
    await writeFile(
      configFile,
      Object.entries(all)
        .map(([name, value]) => `${name} ${value === "" ? '""' : value}\n`)
        .join(""),
      { mode: 0o600 },
    );
    const child = await Child.start({
      name: "Redis",
      command: "sh",
      args: ["-c", 'umask 077; exec "$0" "$1"', binary.command, configFile],
      env: { ...binary.env, LANG: "C" },
      cwd: data,
      advice: `Its data in ${data} is as it was; it may have batches that are not in PostgreSQL yet. redis-check-aof repairs a damaged file. ${keepData}`,
      logFile: join(folder, "logs/redis.log"),
      pidFile: join(folder, "run/redis.pid"),
    });
    // Loading a large append-only file takes time: about 1 s per 100 MB.
    await child.until(async () => ((await respondsToPing(port, users)) ? true : undefined), 60_000);
    const open = `redis://127.0.0.1:${port}`;
    const urlFor = (user: RedisUserName) => (users ? asRedisUser(open, user, users) : open);
    return { url: urlFor("admin"), urlFor, port, pid: child.pid, child, stop: () => child.stop() };
  });
}

/** Quotes a path with spaces, quotes or backslashes for redis.conf. */
function quote(path: string): string {
  return `"${path.replaceAll(/["\\]/g, "\\$&")}"`;
}

function respondsToPing(port: number, users: RedisUsers | undefined): Promise<boolean> {
  const auth = users ? `AUTH doctor ${users.passwords.doctor}\r\n` : "";
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`${auth}PING\r\n`));
    const finish = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    let reply = "";
    socket.setTimeout(1_000, () => finish(false));
    socket.on("error", () => finish(false)); // not listening yet
    socket.on("close", () => finish(false));
    socket.on("data", (data) => {
      reply += data.toString();
      if (reply.includes("+PONG")) finish(true);
      else if (/^-(?!$)/m.test(reply)) finish(false); // it loads its file
    });
  });
}
