import type { StreamRedis } from "#stream/connection.ts";
import { acknowledgedBefore, readGroups } from "#stream/group-info.ts";
import { groupName } from "#stream/keys.ts";
import { streamStart } from "#stream/tail-reader.ts";

/** The first entry of a shard that may not be in PostgreSQL: all before it are acknowledged, and so committed. */
export async function committedBefore(redis: StreamRedis, shard: number): Promise<string> {
  const group = (await readGroups(redis, shard)).find(({ name }) => name === groupName);
  return group === undefined ? streamStart : await acknowledgedBefore(redis, shard, group);
}
