import type { Redis } from "ioredis";
import { compareIds } from "./group-info.ts";
import { streamKey } from "./keys.ts";

/**
 * True when this entry may have been added to the stream: it is there, or was trimmed together with everything before it.
 * Also true for a stream without entries.
 */
export async function mayHold(
  redis: Pick<Redis, "xrangeBuffer">,
  shard: number,
  id: string,
): Promise<boolean> {
  if (await holds(redis, shard, id)) return true;
  const [first] = await redis.xrangeBuffer(streamKey(shard), "-", "+", "COUNT", 1);
  return first === undefined || compareIds(first[0].toString("latin1"), id) > 0;
}

/** True when this entry is in the stream. */
export async function holds(redis: Pick<Redis, "xrangeBuffer">, shard: number, id: string): Promise<boolean> {
  return (await redis.xrangeBuffer(streamKey(shard), id, id, "COUNT", 1)).length > 0;
}
