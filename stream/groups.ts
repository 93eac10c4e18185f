import type { Redis } from "ioredis";
import { groupName, streamKey } from "./keys.ts";

/**
 * Ensures that each shard has its stream and its group. The group begins at `0`, so entries that were appended before the
 * group existed, or before it was lost, are still delivered. `$` would skip them.
 */
export async function ensureGroups(redis: Pick<Redis, "xgroup">, shards: readonly number[]): Promise<void> {
  await Promise.all(shards.map((shard) => ensureGroup(redis, shard)));
}

async function ensureGroup(redis: Pick<Redis, "xgroup">, shard: number): Promise<void> {
  try {
    await redis.xgroup("CREATE", streamKey(shard), groupName, "0", "MKSTREAM");
  } catch (error) {
    if (!isReply(error, "BUSYGROUP")) throw error; // BUSYGROUP: it exists
  }
}

/** True for an error of this kind in Redis's reply. */
export function isReply(error: unknown, kind: "BUSYGROUP" | "NOGROUP" | "OOM"): boolean {
  return error instanceof Error && error.message.startsWith(`${kind} `);
}
