import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { startRedis } from "#dev/redis.ts";
import { groupName, streamKey } from "#stream/keys.ts";
import { countParts } from "#stream/unconfirmed.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type Evidence, type Fault, type Scene, words } from "../fault.ts";
import { type Fixture, shardCount } from "../fixture.ts";
import { Hop } from "../hop.ts";
import { signalAll } from "../processes.ts";
import { positions, reportedSince } from "../reported.ts";

// What Redis has on disk: rewritten before a crash, an older copy, nothing. What is lost by it has to be reported batch
// by batch: the judge excuses no other.

const shards = Array.from({ length: shardCount }, (_, shard) => shard);

const backlogMax = 500;

const ownFixture = { [Symbol.asyncDispose]: async () => {} };

export const redisDataRows: readonly Fault[] = [
  {
    name: "redis-rewritten",
    title:
      "SIGKILL of Redis after it rewrote its file, twice: no backlog that is not there, ingest stays open",
    runsFull: 5,
    prepare: async () => ({ ...ownFixture, serverEnv: { BACKLOG_ENTRIES_MAX: String(backlogMax) } }),
    async inject({ fixture, fleet, journal, expect }) {
      const full = () => fleet.tally.later.get(8) ?? 0;
      const before = full();
      let reported = 0;
      for (let round = 1; round <= 2; round += 1) {
        await rewriteFile(fixture);
        const acknowledged = journal.acknowledgedCount;
        await waitFor("batches after it", () => journal.acknowledgedCount > acknowledged + 1.5 * backlogMax);
        fixture.redis.child.kill();
        await fixture.reviveRedis();
        reported = Math.max(reported, await readReplicaLag(fixture));
        await fleet.everyDeviceIsAcknowledged(2);
      }
      expect(() => words(full() - before, "batches refused although nothing waited"));
      expect(async () => {
        const isZero = async () => (await readReplicaLag(fixture)) === 0;
        return (await waitFor("Redis's own lag to be 0", isZero, 20_000).catch(() => false))
          ? ""
          : `all is stored and Redis reports a lag of ${await readReplicaLag(fixture)}`;
      });
      return () => (reported > backlogMax ? `a lag of ${reported} reported by Redis after its restart` : "");
    },
  },
  {
    name: "redis-older-copy",
    title: "Redis comes back on an older copy of its data: what is gone is reported batch by batch",
    runsFull: 5,
    inject: (scene) =>
      loseData(scene, "stream_rewound", async ({ fixture, fleet }) => {
        const data = join(fixture.folder, "redis");
        const copy = join(fixture.folder, "redis-copy");
        cpSync(data, copy, { recursive: true });
        await consumersPolled(fixture);
        const consumers = fixture.system.consumers.map(({ pid }) => pid);
        signalAll(consumers, "SIGSTOP");
        await fleet.everyDeviceIsAcknowledged(3);
        fixture.redis.child.kill();
        await fixture.redis.child.exited;
        rmSync(data, { recursive: true });
        cpSync(copy, data, { recursive: true });
        rmSync(copy, { recursive: true });
        await fixture.reviveRedis();
        signalAll(consumers, "SIGCONT");
      }),
  },
  {
    name: "redis-data-lost",
    title: "Redis's data deleted while consumers are down: what is gone is reported batch by batch",
    runsFull: 5,
    inject: (scene) =>
      loseData(scene, "stream_lost", async ({ fixture, fleet }) => {
        for (const consumer of fixture.system.consumers) await consumer.kill();
        await fleet.everyDeviceIsAcknowledged(3);
        fixture.redis.child.kill();
        await fixture.redis.child.exited;
        rmSync(join(fixture.folder, "redis"), { recursive: true });
        await fixture.reviveRedis();
        for (const consumer of fixture.system.consumers) await consumer.start();
      }),
  },
  {
    name: "redis-failover",
    title: "Redis fails over to a replica that lags: what is gone is reported batch by batch",
    runsFull: 1,
    prepare: async () => ownFixture,
    inject: (scene) =>
      loseData(scene, "stream_rewound", async ({ fixture, fleet, run }) => {
        await using link = await Hop.before(fixture.redis.port);
        const users = await fixture.redisUsers();
        const settings = {
          replicaof: link.address.replace(":", " "),
          masteruser: "admin",
          masterauth: users.passwords.admin,
        };
        const replica = await startRedis(join(fixture.folder, `replica-${run}`), settings, users);
        const admin = new Redis(replica.url);
        try {
          const isCaughtUp = async () => (await admin.info("replication")).includes("master_link_status:up");
          await waitFor("the replica to be in step", isCaughtUp);
          link.tamper(async () => {}); // nothing arrives at the replica any more
          await consumersPolled(fixture);
          const consumers = fixture.system.consumers.map(({ pid }) => pid);
          signalAll(consumers, "SIGSTOP");
          await fleet.everyDeviceIsAcknowledged(3);
          const { port } = fixture.redis;
          fixture.redis.child.kill();
          await fixture.redis.child.exited;
          await admin.replicaof("NO", "ONE");
          await admin.config("SET", "port", port);
          fixture.adoptRedis({ ...replica, port, url: fixture.redis.url });
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
  const { fixture, excuse, expect } = scene;
  const reported = await reportedSince(fixture);
  await lose(scene);
  const waiting = async () => {
    const counts = await Promise.all(shards.map((shard) => countParts(fixture.redisAdmin, shard)));
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
async function consumersPolled(fixture: Fixture): Promise<void> {
  const before = await positions(fixture);
  await waitFor("consumers to look at the streams", async () =>
    (await positions(fixture)).every((added, shard) => added > before[shard]!),
  );
}

async function rewriteFile({ redisAdmin }: Fixture): Promise<void> {
  await redisAdmin.bgrewriteaof();
  await waitFor("the rewrite", async () =>
    (await redisAdmin.info("persistence")).includes("aof_rewrite_in_progress:0"),
  );
}

async function readReplicaLag({ redisAdmin }: Fixture): Promise<number> {
  const lags = await Promise.all(
    shards.map(async (shard) => {
      const groups = (await redisAdmin.xinfo("GROUPS", streamKey(shard))) as unknown[][];
      const group = groups.find((pairs) => pairs.includes(groupName)) ?? [];
      return Number(group[group.indexOf("lag") + 1]);
    }),
  );
  return lags.reduce((sum, lag) => sum + lag, 0);
}
