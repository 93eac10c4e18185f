import { Client } from "pg";
import { groupName, streamKey } from "#stream/keys.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type Evidence, type Fault, type Scene, words } from "../fault.ts";
import { type Fixture, shardCount } from "../fixture.ts";
import { Fleet } from "../fleet.ts";
import { signalAll } from "../processes.ts";

// What a hand in Redis can do: entries that no server wrote, groups destroyed, everything flushed, settings with which
// an acknowledged batch could be lost.

const shards = Array.from({ length: shardCount }, (_, shard) => shard);

/** Changed while Redis runs; the first value is the one that is right. */
const unsafeSettings: readonly (readonly [name: string, safe: string, unsafe: string])[] = [
  ["appendonly", "yes", "no"],
  ["appendfsync", "always", "everysec"],
  ["appendfsync", "always", "no"],
  ["no-appendfsync-on-rewrite", "no", "yes"],
  ["save", "", "3600 1"],
  ["maxmemory-policy", "volatile-lru", "allkeys-lru"],
  ["maxmemory-policy", "volatile-lru", "allkeys-random"],
];

export const operatorRows: readonly Fault[] = [
  {
    name: "malformed-entries",
    title: "Entries that are no batches, written straight into the stream",
    runsFull: 5,
    async inject(scene) {
      const { fixture, random } = scene;
      const names: string[] = [];
      for (const fields of malformedEntries(scene)) {
        const key = streamKey(random.below(shardCount));
        names.push(`${key}/${await fixture.redisAdmin.xadd(key, "*", ...fields)}`);
      }
      const deadLetters = () =>
        query(fixture, "select count(*)::int as n from dead_letters where entry = any($1)", names);
      scene.expect(async () => {
        const kept = await deadLetters();
        return kept === names.length ? "" : `${names.length} malformed entries, ${kept} in dead_letters`;
      });
      return async () => words(await deadLetters(), "dead letters");
    },
  },
  {
    name: "group-destroyed",
    title: "The consumer group destroyed: noticed, reported, nothing lost",
    runsFull: 5,
    inject: (scene) =>
      loseStreams(scene, async ({ redisAdmin }) => {
        for (const shard of shards) await redisAdmin.xgroup("DESTROY", streamKey(shard), groupName);
      }),
  },
  {
    name: "flushall",
    title: "FLUSHALL: what was only in Redis is gone; noticed, reported, everything after works",
    runsFull: 5,
    async inject(scene) {
      const evidence = await loseStreams(scene, async ({ redisAdmin }) => void (await redisAdmin.flushall()));
      const flushedAt = performance.now();
      scene.excuse((batch) => batch.sentAtMs < flushedAt);
      return evidence;
    },
  },
  {
    name: "flushall-committed",
    title: "FLUSHALL, with devices that keep every batch until it is committed: nothing of theirs is lost",
    runsFull: 5,
    async inject(scene) {
      const { fixture, prefix, journal, secrets, random, program } = scene;
      const keeping = `${prefix}keeping.`;
      const keepers = new Fleet({
        prefix: keeping,
        seed: random.below(2 ** 31),
        journal,
        secrets,
        grpc: fixture.hops.deviceGrpc.address,
        http: `http://${fixture.hops.deviceHttp.address}`,
        keepUntil: "committed",
        program,
      });
      try {
        await keepers.everyDeviceIsAcknowledged(2);
        let onlyInRedis = 0;
        const evidence = await loseStreams(scene, async ({ redisAdmin, system }) => {
          const consumers = system.consumers.map(({ pid }) => pid);
          signalAll(consumers, "SIGSTOP");
          const stoppedAt = performance.now();
          await keepers.everyDeviceIsAcknowledged(3);
          onlyInRedis = journal.batches.filter(
            ({ deviceId, sentAtMs, outcome }) =>
              deviceId.startsWith(keeping) && sentAtMs > stoppedAt && outcome === "acknowledged",
          ).length;
          await redisAdmin.flushall();
          signalAll(consumers, "SIGCONT");
        });
        const flushedAt = performance.now();
        scene.excuse((batch) => batch.sentAtMs < flushedAt && !batch.deviceId.startsWith(keeping));
        await keepers.everyDeviceIsAcknowledged(1);
        await keepers.stop();
        return async (after) =>
          (await evidence(after)) &&
          words(onlyInRedis, "batches acknowledged, gone, and stored all the same");
      } finally {
        keepers.abandon();
      }
    },
  },
  {
    name: "unsafe-setting",
    title: "Redis set so that it could lose what it acknowledged: not ready, and says which",
    runsFull: unsafeSettings.length,
    async inject({ fixture, fleet, run }) {
      const [name, safe, unsafe] = unsafeSettings[run % unsafeSettings.length]!;
      const refused = () => fleet.tally.later.get(14) ?? 0;
      const before = refused();
      await fixture.redisAdmin.config("SET", name, unsafe);
      try {
        for (const { addresses } of fixture.system.servers) {
          await waitFor(`a server to name ${name}`, async () => {
            const response = await fetch(`http://${addresses.admin}/readyz`);
            return response.status === 503 && (await response.text()).includes(`${name} is "${unsafe}"`);
          });
        }
        await waitFor("refusals", () => refused() > before);
      } finally {
        await fixture.redisAdmin.config("SET", name, safe);
      }
      return () => words(refused() - before, `batches refused while ${name} was "${unsafe}"`);
    },
  },
];

/** Takes the groups, or all there is, from Redis; the incidents that tell of it are the evidence. */
async function loseStreams(scene: Scene, lose: (fixture: Fixture) => Promise<void>): Promise<Evidence> {
  const { fixture } = scene;
  const reported = () =>
    query(fixture, "select count(*)::int as n from incidents where kind = any($1)", [
      "group_lost",
      "stream_lost",
    ]);
  const before = await reported();
  await lose(fixture);
  const enough = async () => (await reported()) >= before + shardCount;
  const isReported = await waitFor("an incident for each shard", enough, 20_000).catch(() => false);
  const incidents = (await reported()) - before;
  scene.expect(() =>
    isReported ? "" : `${shardCount} shards lost their group, ${incidents} incidents say so`,
  );
  return () => words(incidents, "incidents reported");
}

function malformedEntries({ prefix, random }: Scene): readonly (readonly (string | Buffer)[])[] {
  const good = {
    version: "1",
    device: `${prefix}malformed`,
    session: "boot-1",
    sequence: "1",
    received_at: String(Date.now() * 1000),
    digest: Buffer.alloc(16, 7),
    batch: Buffer.from("0a01612801", "hex"),
  };
  const changed = (changes: Readonly<Record<string, string | Buffer>>) =>
    Object.entries({ ...good, ...changes }).flatMap(([name, value]) => [name, value]);
  const noise = Buffer.from(Array.from({ length: 500 }, () => random.below(256)));
  return [
    ["hello", "world"],
    [noise, noise],
    changed({}),
    changed({ version: "2" }),
    changed({ device: "with space" }),
    changed({ device: "" }),
    changed({ sequence: "-1" }),
    changed({ sequence: "99999999999999999999" }),
    changed({ received_at: "tomorrow" }),
    changed({ received_at: "9999999999999999" }),
    changed({ digest: "short" }),
    changed({ batch: "" }),
    changed({ batch: noise }),
    changed({ batch: Buffer.alloc(300_000, 0xff) }),
  ];
}

async function query({ postgres }: Fixture, text: string, value: readonly string[]): Promise<number> {
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  try {
    return (await client.query<{ n: number }>(text, [value])).rows[0]!.n;
  } finally {
    await client.end();
  }
}
