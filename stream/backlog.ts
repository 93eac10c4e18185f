import type { Redis } from "ioredis";
import { readGroups } from "./group-info.ts";
import { groupName } from "./keys.ts";

/**
 * How many entries of all shards no consumer has acknowledged yet. Undefined when a shard cannot say, which is never
 * the same as 0. Throws when Redis is away.
 */
export async function readBacklog(
  redis: Pick<Redis, "call">,
  shards: readonly number[],
): Promise<number | undefined> {
  const counts = await Promise.all(
    shards.map(async (shard) => {
      const group = (await readGroups(redis, shard)).find(({ name }) => name === groupName);
      return group?.undelivered === undefined ? undefined : group.undelivered + group.pending;
    }),
  );
  return counts.reduce<number | undefined>(
    (sum, count) => (sum === undefined || count === undefined ? undefined : sum + count),
    0,
  );
}
