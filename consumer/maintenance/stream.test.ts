import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { ensureGroups } from "#stream/groups.ts";
import { groupName, streamKey, toShard } from "#stream/keys.ts";
import { Reclaimer } from "#stream/reclaim.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createMetrics } from "../metrics.ts";
import { createFixture, holdEntries, makeEntry, records, shardCount } from "../testing/fixture.ts";
import { measureLag, reclaim } from "./stream.ts";

test("the age of the oldest entry is measured in seconds", async () => {
  await using fixture = await createFixture();
  const metrics = createMetrics(createRegistry("consumer"));
  await ensureGroups(fixture.redis, [0]);
  await fixture.redis.xadd(streamKey(0), `${Date.now() - 3_600_000}-0`, "a", "b");
  await measureLag({ redis: fixture.redis, shards: [0], metrics });
  const [oldest] = (await metrics.oldest.get()).values;
  assert(oldest && oldest.value >= 3_600 && oldest.value < 4_600, `${oldest?.value} s`);
  assert.equal((await metrics.backlog.get()).values[0]?.value, 1);
});

test("every round takes over all entries of dead consumers, piece by piece, each only when there is capacity", async () => {
  await using fixture = await createFixture();
  const entries = Array.from({ length: 9 }, (_, n) => makeEntry(n + 1, records(1)));
  await holdEntries(fixture, "dead", entries);
  const key = streamKey(toShard("device-1", shardCount));
  const heldBy = async (name: string) =>
    (await fixture.redis.xpending(key, groupName, "-", "+", 99, name)).length;
  const taken: bigint[] = [];
  const rooms: (() => void)[] = [];
  const round = reclaim({
    reclaimer: new Reclaimer(fixture.redis, { shards: [0, 1], consumer: "alive", idleMinMs: 0, countMax: 2 }),
    consumer: {
      waitForCapacity: () => new Promise<void>((resolve) => rooms.push(resolve)),
      receive: ({ entries }) => taken.push(...entries.map(({ entry }) => entry.sequence)),
    },
    metrics: createMetrics(createRegistry("consumer")),
    signal: new AbortController().signal,
  });
  for (let piece = 1; piece <= 5; piece++) {
    await waitFor("a piece to wait for room", () => rooms.length === piece);
    assert.equal(await heldBy("alive"), 2 * (piece - 1));
    rooms[piece - 1]?.();
  }
  await round;
  assert.deepEqual(taken, [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n]);
  assert.equal(await heldBy("dead"), 0);
});
