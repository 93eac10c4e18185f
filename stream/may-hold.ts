import type { Redis } from "ioredis";
import { compareIds } from "./group-info.ts";
import { streamKey } from "./keys.ts";

/**
 * Whether a stream may be one to which this entry was added: it is there, or was trimmed together with everything before
 * it. A stream without entries may be any.
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

/** Whether this entry is there. */
export async function holds(redis: Pick<Redis, "xrangeBuffer">, shard: number, id: string): Promise<boolean> {
  return (await redis.xrangeBuffer(streamKey(shard), id, id, "COUNT", 1)).length > 0;
}
