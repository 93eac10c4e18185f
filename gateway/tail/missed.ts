import type { StreamRedis } from "#stream/connection.ts";
import { idMilliseconds, redisTimeMs } from "#stream/group-info.ts";
import { missedAfter, readStreamState, type StreamPositions, streamStart } from "#stream/tail-reader.ts";
import type { Gap, GapSlot } from "./tail-ring.ts";

/** The gap after these positions that Redis no longer has; undefined: none. Throws when Redis is unreachable. */
export async function findMissed(
  redis: StreamRedis,
  positions: StreamPositions,
): Promise<GapSlot | undefined> {
  const states = await Promise.all(positions.map((_, shard) => readStreamState(redis, shard)));
  const endsMs: number[] = [];
  const startsMs: number[] = [];
  const goOnAfter = new Map<number, string>();
  const nowMs = await redisTimeMs(redis, 0);
  for (const [shard, state] of states.entries()) {
    const position = positions[shard] ?? streamStart;
    const missed = missedAfter(position, state);
    if (missed === undefined) continue;
    // Another stream has ids that begin anywhere: all of it is new.
    if (missed === "lost") goOnAfter.set(shard, streamStart);
    startsMs.push(
      missed === "lost" && state.firstId !== undefined
        ? idMilliseconds(state.firstId)
        : idMilliseconds(position),
    );
    endsMs.push(missed === "lost" || state.firstId === undefined ? nowMs : idMilliseconds(state.firstId));
  }
  if (startsMs.length === 0) return undefined;
  const reason =
    goOnAfter.size > 0
      ? "Redis was restored from older data or replaced"
      : "the tail lagged more than TAIL_WINDOW_MS, for which Redis keeps stored batches";
  return { gap: toGap(Math.min(...startsMs), Math.max(...endsMs), reason), goOnAfter };
}

/** Times of Redis's clock approximate those of reception, which is slightly earlier, by the servers' clocks. */
export function toGap(startMs: number, endMs: number, reason: string): Gap {
  return { startMs: startMs - clocksMs, endMs: endMs + clocksMs, reason };
}

const clocksMs = 10_000;
