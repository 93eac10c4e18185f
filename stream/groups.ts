import type { Redis } from "ioredis";
import { groupName, streamKey } from "./keys.ts";

/**
 * Makes sure that each shard has its stream and its group. The group begins at `0`: whatever was appended before it
 * existed, or before it was lost together with Redis's memory, is still delivered. `$` would skip it.
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

/** Whether Redis answered with this kind of error. */
export function isReply(error: unknown, kind: "BUSYGROUP" | "NOGROUP" | "OOM"): boolean {
  return error instanceof Error && error.message.startsWith(`${kind} `);
}
