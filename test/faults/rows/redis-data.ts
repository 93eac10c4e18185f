import { groupName, streamKey } from "#stream/keys.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type Fault, words } from "../fault.ts";
import { shardCount, type World } from "../world.ts";

// What Redis has on disk: rewritten before a crash.

const shards = Array.from({ length: shardCount }, (_, shard) => shard);

const backlogMax = 500;

export const redisDataRows: readonly Fault[] = [
  {
    name: "redis-rewritten",
    title:
      "SIGKILL of Redis after it rewrote its file, twice: no backlog that is not there, ingest stays open",
    runsFull: 5,
    prepare: async () => ({
      serverEnv: { BACKLOG_ENTRIES_MAX: String(backlogMax) },
      [Symbol.asyncDispose]: async () => {},
    }),
    async inject({ world, fleet, journal, expect }) {
      const full = () => fleet.tally.later.get(8) ?? 0;
      const before = full();
      let reported = 0;
      for (let round = 1; round <= 2; round += 1) {
        await rewriteFile(world);
        const acknowledged = journal.acknowledgedCount;
        await waitFor("batches after it", () => journal.acknowledgedCount > acknowledged + 1.5 * backlogMax);
        world.redis.child.kill();
        await world.reviveRedis();
        reported = Math.max(reported, await lagOfRedis(world));
        await fleet.everyDeviceIsAcknowledged(2);
      }
      expect(() => words(full() - before, "batches refused although nothing waited"));
      expect(async () => {
        const isZero = await waitFor(
          "Redis's own lag",
          async () => (await lagOfRedis(world)) === 0,
          20_000,
        ).catch(() => false);
        return isZero ? "" : `all is stored and Redis reports a lag of ${await lagOfRedis(world)}`;
      });
      return () => (reported > backlogMax ? `a lag of ${reported} reported by Redis after its restart` : "");
    },
  },
];

async function rewriteFile({ redisAdmin }: World): Promise<void> {
  await redisAdmin.bgrewriteaof();
  await waitFor("the rewrite", async () =>
    (await redisAdmin.info("persistence")).includes("aof_rewrite_in_progress:0"),
  );
}

async function lagOfRedis({ redisAdmin }: World): Promise<number> {
  const lags = await Promise.all(
    shards.map(async (shard) => {
      const groups = (await redisAdmin.xinfo("GROUPS", streamKey(shard))) as unknown[][];
      const group = groups.find((pairs) => pairs.includes(groupName)) ?? [];
      return Number(group[group.indexOf("lag") + 1]);
    }),
  );
  return lags.reduce((sum, lag) => sum + lag, 0);
}
