import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { startRedis } from "#dev/redis.ts";
import { groupName, streamKey } from "#stream/keys.ts";
import { countParts } from "#stream/unconfirmed.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type Evidence, type Fault, type Scene, words } from "../fault.ts";
import { Hop } from "../hop.ts";
import { signalAll } from "../processes.ts";
import { positions, reportedSince } from "../reported.ts";
import { shardCount, type World } from "../world.ts";

// What Redis has on disk: rewritten before a crash, an older copy, nothing. What is lost by it has to be reported batch
// by batch: the judge excuses no other.

const shards = Array.from({ length: shardCount }, (_, shard) => shard);

const backlogMax = 500;

const ownWorld = { [Symbol.asyncDispose]: async () => {} };

export const redisDataRows: readonly Fault[] = [
  {
    name: "redis-rewritten",
    title:
      "SIGKILL of Redis after it rewrote its file, twice: no backlog that is not there, ingest stays open",
    runsFull: 5,
    prepare: async () => ({ ...ownWorld, serverEnv: { BACKLOG_ENTRIES_MAX: String(backlogMax) } }),
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
        const isZero = async () => (await lagOfRedis(world)) === 0;
        return (await waitFor("Redis's own lag to be 0", isZero, 20_000).catch(() => false))
          ? ""
          : `all is stored and Redis reports a lag of ${await lagOfRedis(world)}`;
      });
      return () => (reported > backlogMax ? `a lag of ${reported} reported by Redis after its restart` : "");
    },
  },
  {
    name: "redis-older-copy",
    title: "Redis comes back on an older copy of its data: what is gone is reported batch by batch",
    runsFull: 5,
    inject: (scene) =>
      loseData(scene, "stream_rewound", async ({ world, fleet }) => {
        const data = join(world.folder, "redis");
        const copy = join(world.folder, "redis-copy");
        cpSync(data, copy, { recursive: true });
        await consumersLooked(world);
        const consumers = world.system.consumers.map(({ pid }) => pid);
        signalAll(consumers, "SIGSTOP");
        await fleet.everyDeviceIsAcknowledged(3);
        world.redis.child.kill();
        await world.redis.child.exited;
        rmSync(data, { recursive: true });
        cpSync(copy, data, { recursive: true });
        rmSync(copy, { recursive: true });
        await world.reviveRedis();
        signalAll(consumers, "SIGCONT");
      }),
  },
  {
    name: "redis-data-lost",
    title: "Redis's data deleted while consumers are down: what is gone is reported batch by batch",
    runsFull: 5,
    inject: (scene) =>
      loseData(scene, "stream_lost", async ({ world, fleet }) => {
        for (const consumer of world.system.consumers) await consumer.kill();
        await fleet.everyDeviceIsAcknowledged(3);
        world.redis.child.kill();
        await world.redis.child.exited;
        rmSync(join(world.folder, "redis"), { recursive: true });
        await world.reviveRedis();
        for (const consumer of world.system.consumers) await consumer.start();
      }),
  },
  {
    name: "redis-failover",
    title: "Redis fails over to a replica that lags: what is gone is reported batch by batch",
    runsFull: 1,
    prepare: async () => ownWorld,
    inject: (scene) =>
      loseData(scene, "stream_rewound", async ({ world, fleet, run }) => {
        await using link = await Hop.before(world.redis.port);
        const users = await world.redisUsers();
        const settings = {
          replicaof: link.address.replace(":", " "),
          masteruser: "admin",
          masterauth: users.passwords.admin,
        };
        const replica = await startRedis(join(world.folder, `replica-${run}`), settings, users);
        const admin = new Redis(replica.url);
        try {
          const isCaughtUp = async () => (await admin.info("replication")).includes("master_link_status:up");
          await waitFor("the replica to be in step", isCaughtUp);
          link.tamper(async () => {}); // nothing arrives at the replica any more
          await consumersLooked(world);
          const consumers = world.system.consumers.map(({ pid }) => pid);
          signalAll(consumers, "SIGSTOP");
          await fleet.everyDeviceIsAcknowledged(3);
          const { port } = world.redis;
          world.redis.child.kill();
          await world.redis.child.exited;
          await admin.replicaof("NO", "ONE");
          await admin.config("SET", "port", port);
          world.adoptRedis({ ...replica, port, url: world.redis.url });
          signalAll(consumers, "SIGCONT");
        } finally {
          admin.disconnect();
        }
      }),
  },
];

/** Makes Redis lose what it acknowledged; only what the incidents name is excused. */
async function loseData(
  scene: Scene,
  kind: "stream_rewound" | "stream_lost",
  lose: (scene: Scene) => Promise<void>,
): Promise<Evidence> {
  const { world, excuse, expect } = scene;
  const reported = await reportedSince(world);
  await lose(scene);
  const waiting = async () => {
    const counts = await Promise.all(shards.map((shard) => countParts(world.redisAdmin, shard)));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  await waitFor("a report of the servers", async () => (await waiting()) > 0, 20_000);
  await waitFor("the reports to be settled", async () => (await waiting()) === 0, 40_000);
  const { lost, kinds } = await reported();
  excuse(({ deviceId, sessionId, sequence }) => lost.has(`${deviceId} ${sessionId} ${sequence}`));
  expect(() => (kinds.has(kind) ? "" : `no incident ${kind}, but ${[...kinds].join(", ")}`));
  expect(() => (kinds.has("group_lost") ? "a loss was called group_lost" : ""));
  return () => words(lost.size, "batches acknowledged, gone, and reported");
}

/** Until PostgreSQL remembers entries of every shard in use that were added after this call. */
async function consumersLooked(world: World): Promise<void> {
  const before = await positions(world);
  await waitFor("consumers to look at the streams", async () =>
    (await positions(world)).every((added, shard) => added > before[shard]!),
  );
}

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
