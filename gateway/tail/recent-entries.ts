import type { StreamRedis } from "#stream/connection.ts";
import { compareIds, idMilliseconds } from "#stream/group-info.ts";
import { ReadSize } from "#stream/read-size.ts";
import { readBackwards, type StreamPositions, streamStart, type TailEntry } from "#stream/tail-reader.ts";
import { committedBefore } from "./committed-before.ts";

/**
 * The entries at and before these positions, oldest first: back to `sinceMs`, or to the first that may not be
 * stored, or up to `bytesMax`, of which each shard has an equal share.
 */
export async function readRecent(
  redis: StreamRedis,
  positions: StreamPositions,
  { sinceMs, bytesMax }: { readonly sinceMs: number; readonly bytesMax: number },
): Promise<TailEntry[]> {
  const of = async (shard: number, id: string) => {
    const since = Math.min(sinceMs, idMilliseconds(await committedBefore(redis, shard)));
    return readShard(redis, shard, { id, sinceMs: since, bytesMax: bytesMax / positions.length });
  };
  const shards = await Promise.all(positions.map((id, shard) => of(shard, id)));
  return shards.flat().sort((a, b) => compareIds(a.id, b.id));
}

async function readShard(
  redis: StreamRedis,
  shard: number,
  { id, sinceMs, bytesMax }: { readonly id: string; readonly sinceMs: number; readonly bytesMax: number },
): Promise<TailEntry[]> {
  const found: TailEntry[] = [];
  const size = new ReadSize({ countMax: 500, bytesMax: 1 << 20 });
  let from = id;
  for (let bytes = 0; bytes < bytesMax && from !== streamStart; ) {
    const count = size.count(1);
    const entries = await readBackwards(redis, shard, { id: from, sinceMs, count });
    const last = entries.at(-1);
    found.push(...entries);
    if (last === undefined || entries.length < count) break;
    bytes += entries.reduce((sum, { entry }) => sum + (entry?.batch.length ?? 0), 0);
    size.learn(entries.flatMap(({ entry }) => (entry === undefined ? [] : [{ entry }])));
    from = `(${last.id}`;
  }
  return found;
}
