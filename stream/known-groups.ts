import type { Redis } from "ioredis";
import { ensureGroups } from "./groups.ts";
import { groupName, streamKey } from "./keys.ts";

/** Member of the group that never reads: while it is there, the group is one that has been seen before. */
const mark = "~seen";

export interface InspectedGroup {
  readonly shard: number;
  /** It is not the one that was there before: that, or the whole stream, was taken away. */
  readonly isNew: boolean;
  /** How many entries its stream was ever given: it starts again when the stream does. */
  readonly entriesAdded: number;
  /** How many there are now. */
  readonly entries: number;
}

/**
 * Looks whether each shard's group is the one for which {@link markGroups} was called, by anybody and however long
 * ago. Whoever needs a group creates it again within moments, so its being there says nothing; but its members are
 * lost with it, and nobody else creates this one. Groups that are missing are created. Throws when Redis is away.
 */
export async function inspectGroups(
  redis: Pick<Redis, "call" | "xgroup">,
  shards: readonly number[],
): Promise<readonly InspectedGroup[]> {
  await ensureGroups(redis, shards);
  return await Promise.all(
    shards.map(async (shard): Promise<InspectedGroup> => {
      const key = streamKey(shard);
      const members = (await redis.call("xinfo", "CONSUMERS", key, groupName)) as unknown[][];
      const stream = (await redis.call("xinfo", "STREAM", key)) as unknown[];
      return {
        shard,
        isNew: !members.some((member) => valueOf(member, "name") === mark),
        entriesAdded: Number(valueOf(stream, "entries-added")),
        entries: Number(valueOf(stream, "length")),
      };
    }),
  );
}

/** From now on these are known. Call when it has been reported that they are new. */
export async function markGroups(
  redis: Pick<Redis, "xgroup">,
  groups: readonly Pick<InspectedGroup, "shard">[],
): Promise<void> {
  await Promise.all(
    groups.map(({ shard }) => redis.xgroup("CREATECONSUMER", streamKey(shard), groupName, mark)),
  );
}

/** A value of what XINFO tells as name, value, name, value, … */
export function valueOf(pairs: readonly unknown[], name: string): unknown {
  return pairs[pairs.indexOf(name) + 1];
}
