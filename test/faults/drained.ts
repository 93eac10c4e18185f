import { groupName, streamKey } from "#stream/keys.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type Fixture, shardCount } from "./fixture.ts";

/** Until no entry is undelivered or unacknowledged in any shard, and no server has one on its way to Redis. */
export async function drained(fixture: Fixture, deadlineMs: number): Promise<void> {
  let left: readonly string[] = [];
  await waitFor(
    "the backlog to be stored",
    async () => {
      left = await backlog(fixture);
      if (left.length > 0) throw new Error(left.join(", "));
      return true;
    },
    deadlineMs,
  );
}

/**
 * What is not stored yet, a few words per shard. Known from ids alone, not by Redis's own `lag`, which it does not always
 * know, and not by the code of the system.
 */
export async function backlog({ redisAdmin }: Fixture): Promise<readonly string[]> {
  const left: string[] = [];
  for (let shard = 0; shard < shardCount; shard += 1) {
    const key = streamKey(shard);
    const groups = ((await redisAdmin.xinfo("GROUPS", key)) as unknown[]).map(pairs);
    const group = groups.find(({ name }) => name === groupName);
    if (group === undefined) left.push(`shard ${shard}: no group`);
    else if (Number(group.pending) > 0) left.push(`shard ${shard}: ${String(group.pending)} pending`);
    else {
      const after = `(${String(group["last-delivered-id"])}`;
      const undelivered = await redisAdmin.xrange(key, after, "+", "COUNT", 1);
      if (undelivered.length > 0) left.push(`shard ${shard}: undelivered entries`);
    }
  }
  return left;
}

/** Entries that members of the group have and did not acknowledge, by the member's name. */
export async function pendingByConsumer({ redisAdmin }: Fixture): Promise<ReadonlyMap<string, number>> {
  const pending = new Map<string, number>();
  for (let shard = 0; shard < shardCount; shard += 1) {
    const members = ((await redisAdmin.xinfo("CONSUMERS", streamKey(shard), groupName)) as unknown[]).map(
      pairs,
    );
    for (const member of members) {
      const name = String(member.name);
      pending.set(name, (pending.get(name) ?? 0) + Number(member.pending));
    }
  }
  return pending;
}

function pairs(reply: unknown): Record<string, unknown> {
  if (!Array.isArray(reply)) return reply as Record<string, unknown>;
  return Object.fromEntries(
    Array.from({ length: reply.length / 2 }, (_, at) => [String(reply[2 * at]), reply[2 * at + 1]]),
  );
}
