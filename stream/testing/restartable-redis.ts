import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Redis } from "ioredis";
import { startRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { connectTo } from "./redis-clients.ts";

export interface RestartableRedis {
  /** A client of the current process. */
  client(): Redis;
  readonly url: () => string;
  /** Rewrites the append-only file, and waits until that is done. */
  rewriteFile(): Promise<void>;
  /** Copies the current data. */
  copyData(): Promise<void>;
  /** SIGKILL, then another process on the same port, with the same data, with the copy, or empty. */
  killAndRestart(on?: {
    readonly onCopy?: boolean;
    readonly empty?: boolean;
    readonly settings?: Readonly<Record<string, string>>;
  }): Promise<void>;
}

/** Starts a Redis that can be killed and restarted with other data. */
export async function restartableRedis(t: TestContext): Promise<RestartableRedis> {
  const folder = mkdtempSync(join(tmpdir(), "fleetlog-restart-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, "redis");
  const copy = join(folder, "copy");
  let server = await startRedis({}, folder);
  t.after(() => server[Symbol.asyncDispose]());
  let client = await connectTo(t, server.url);
  return {
    client: () => client,
    url: () => server.url,
    async rewriteFile() {
      await client.bgrewriteaof();
      await waitFor("the rewrite", async () =>
        /aof_rewrite_in_progress:0[^]*aof_last_bgrewrite_status:ok/.test(await client.info("persistence")),
      );
    },
    async copyData() {
      rmSync(copy, { recursive: true, force: true });
      cpSync(data, copy, { recursive: true });
    },
    async killAndRestart({ onCopy = false, empty = false, settings = {} } = {}) {
      process.kill(server.pid, "SIGKILL");
      await server[Symbol.asyncDispose]();
      if (onCopy || empty) rmSync(data, { recursive: true, force: true });
      if (onCopy) cpSync(copy, data, { recursive: true });
      server = await startRedis({ port: String(server.port), ...settings }, folder);
      client = await connectTo(t, server.url);
    },
  };
}
