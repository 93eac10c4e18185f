import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRedis as start } from "#dev/redis.ts";

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A Redis of its own, empty, with Fleetlog's settings and those of `config` on top (such as `{ maxmemory: "2mb" }`).
 * With the same `folder` again it starts on the data of the last time, which is then not removed.
 */
export async function startRedis(
  config: Readonly<Record<string, string>> = {},
  folder?: string,
): Promise<TestRedis> {
  const own = folder ?? (await mkdtemp(join(tmpdir(), "fleetlog-redis-")));
  const { url, port, pid, child } = await start(own, config);
  return {
    url,
    port,
    pid,
    [Symbol.asyncDispose]: async () => {
      await child.stop();
      if (folder === undefined) await rm(own, { recursive: true, force: true });
    },
  };
}
