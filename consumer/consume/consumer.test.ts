import assert from "node:assert/strict";
import { test } from "node:test";
import { groupName, shardOf, streamKey } from "#stream/keys.ts";
import { Reclaimer } from "#stream/reclaim.ts";
import { trim } from "#stream/trim.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { reclaim } from "../maintenance/schedule.ts";
import {
  createWorld,
  entryOf,
  holdEntries,
  records,
  shardCount,
  startConsumer,
  type World,
} from "../testing/fixture.ts";

const shards = [0, 1];

function everythingAcknowledged(world: World): Promise<true> {
  return waitFor("every entry to be acknowledged", async () => (await world.unacknowledged()) === 0);
}

async function statisticsEqualTheRecords(world: World): Promise<void> {
  assert.deepEqual(
    await world.rows(`select minute, severity, record_count from log_statistics order by 1, 2`),
    await world.rows(`select date_trunc('minute', time) as minute, severity, count(*) as record_count
      from records group by 1, 2 order by 1, 2`),
  );
  assert.deepEqual(
    await world.rows(`select device_id, batch_count, record_count, error_count from devices order by 1`),
    await world.rows(`select device_id, count(distinct batch_id) as batch_count, count(*) as record_count,
      count(*) filter (where severity >= 17) as error_count
      from records join batches on batches.id = batch_id join devices on devices.key = device_key
      group by 1 order by 1`),
  );
  assert.deepEqual(
    await world.rows(
      `select sum(batch_count) as b, sum(record_count) as r, sum(error_count) as e from devices`,
    ),
    await world.rows(`select sum(batch_count) as b, sum(record_count) as r, sum(error_count) as e
      from device_statistics`),
  );
}

test("acknowledges an entry only after its records are committed", async () => {
  await using world = await createWorld();
  await world.holdFlushes();
  await startConsumer(world);
  await world.append(entryOf(1, records(3)));
  await world.heldFlush();
  assert.equal(await world.unacknowledged(), 1);
  await world.rows("commit");
  await everythingAcknowledged(world);
  assert.equal(await world.count("records"), 3);
});

test("stores batches of many devices from every shard, and counts them exactly", async () => {
  await using world = await createWorld();
  const { metrics } = await startConsumer(world);
  const entries = Array.from({ length: 200 }, (_, index) =>
    entryOf(index + 1, records(1 + (index % 90)), { deviceId: `device-${index % 9}` }),
  );
  await world.append(...entries, ...entries.slice(50, 120));
  await everythingAcknowledged(world);
  await world.append(...entries.slice(0, 60));
  await everythingAcknowledged(world);
  assert.equal(await world.count("batches"), 200);
  await statisticsEqualTheRecords(world);
  const { values } = await metrics.batches.get();
  assert.deepEqual(Object.fromEntries(values.map(({ labels, value }) => [labels.outcome, value])), {
    stored: 200,
    duplicate: 130,
  });
});

test("two consumers share the stream and store each batch once", async () => {
  await using world = await createWorld();
  await startConsumer(world, "consumer-1");
  await startConsumer(world, "consumer-2");
  const entries = Array.from({ length: 100 }, (_, index) => entryOf(index + 1, records(20)));
  await world.append(...entries, ...entries);
  await everythingAcknowledged(world);
  assert.equal(await world.count("records"), 2_000);
  await statisticsEqualTheRecords(world);
});

test("keeps what is no entry in dead_letters, acknowledges it and goes on", async () => {
  await using world = await createWorld();
  await startConsumer(world);
  await world.redis.xadd(streamKey(0), "*", "hello", "world");
  await world.append(entryOf(1, records(2)));
  await everythingAcknowledged(world);
  assert.equal(await world.count("records"), 2);
  const [letter] = await world.rows(
    "select reason, convert_from(raw, 'utf8') as raw, entry from dead_letters",
  );
  assert.match(String(letter?.reason), /"version" is missing/);
  assert.equal(letter?.raw, "hello\nworld\n");
  assert.match(String(letter?.entry), /^fleetlog:\{0\}:batches\/\d+-\d+$/);
});

test("first stores what it was handed before it died", async () => {
  await using world = await createWorld();
  await holdEntries(world, "consumer-1", [entryOf(1, records(2)), entryOf(2, records(2))]);
  await startConsumer(world, "consumer-1");
  await everythingAcknowledged(world);
  assert.equal(await world.count("records"), 4);
});

test("takes over what a dead consumer left", async () => {
  await using world = await createWorld();
  await holdEntries(world, "dead", [entryOf(1, records(2)), entryOf(2, records(2))]);
  const { consumer, commandRedis, metrics } = await startConsumer(world);
  const reclaimer = new Reclaimer(commandRedis, {
    shards,
    consumer: "consumer-1",
    idleMinMs: 0,
    countMax: 10,
  });
  await reclaim({ reclaimer, consumer, metrics, signal: new AbortController().signal });
  await everythingAcknowledged(world);
  assert.equal(await world.count("records"), 4);
});

test("takes an entry in hand once, even when it is delivered again before it is stored", async () => {
  await using world = await createWorld();
  await world.holdFlushes();
  const { consumer, commandRedis, metrics } = await startConsumer(world);
  await world.append(entryOf(1, records(2)));
  await waitFor("the entry to be delivered", async () => {
    const [pending] = (await world.redis.xpending(streamKey(shardOf("device-1", shardCount)), groupName)) as [
      number,
    ];
    return pending === 1;
  });
  const reclaimer = new Reclaimer(commandRedis, {
    shards,
    consumer: "consumer-1",
    idleMinMs: 0,
    countMax: 10,
  });
  await reclaim({ reclaimer, consumer, metrics, signal: new AbortController().signal });
  await world.rows("commit");
  await everythingAcknowledged(world);
  const { values } = await metrics.batches.get();
  assert.equal(values.find(({ labels }) => labels.outcome === "duplicate")?.value, 0);
});

test("stores a flush once when PostgreSQL ends its connection in the middle, and keeps no dead letter", async () => {
  await using world = await createWorld();
  const { metrics, readiness } = await startConsumer(world);
  for (let round = 1; round <= 3; round++) {
    await world.holdFlushes();
    await world.append(entryOf(round, records(50)));
    await world.rows(`select pg_terminate_backend(${await world.heldFlush()})`);
    await waitFor("the failed attempt to be counted", async () => {
      const { values } = await metrics.retries.get();
      return values.reduce((sum, { value }) => sum + value, 0) >= round;
    });
    await world.rows("commit");
    await everythingAcknowledged(world);
  }
  assert.equal(await world.count("records"), 150);
  assert.equal(await world.count("dead_letters"), 0);
  assert.deepEqual(readiness.reasons, []);
  await statisticsEqualTheRecords(world);
});

test("stores a flush once when PostgreSQL stands still in the middle and goes on later", async () => {
  await using world = await createWorld();
  const { metrics } = await startConsumer(world, "consumer-1", 1_000);
  await world.holdFlushes();
  await world.append(entryOf(1, records(50)));
  const backend = await world.heldFlush();
  process.kill(backend, "SIGSTOP");
  try {
    await world.rows("commit");
    // The first attempt hangs until the client gives up; the second waits for what the first has in the ledger.
    await waitFor("the failed attempts to be counted", async () => {
      const { values } = await metrics.retries.get();
      return values.reduce((sum, { value }) => sum + value, 0) >= 2;
    });
  } finally {
    process.kill(backend, "SIGCONT");
  }
  await everythingAcknowledged(world);
  assert.equal(await world.count("records"), 50);
  await statisticsEqualTheRecords(world);
});

test("misses nothing when Redis breaks its connections, and stores each batch once", async () => {
  await using world = await createWorld();
  await startConsumer(world);
  for (let round = 0; round < 5; round++) {
    await world.append(
      ...Array.from({ length: 40 }, (_, index) => entryOf(1 + round * 40 + index, records(5))),
    );
    await world.redis.call("client", "kill", "type", "normal", "skipme", "yes");
  }
  await everythingAcknowledged(world);
  assert.equal(await world.count("batches"), 200);
  assert.equal(await world.count("records"), 1_000);
});

test("trims only what is stored", async () => {
  await using world = await createWorld();
  const key = streamKey(shardOf("device-1", shardCount));
  const { stop } = await startConsumer(world);
  const entries = Array.from({ length: 300 }, (_, index) => entryOf(index + 1, records(1)));
  await world.append(...entries);
  await everythingAcknowledged(world);
  await stop();
  await world.append(...entries.map((entry) => ({ ...entry, sessionId: "boot-2" })));
  await trim(world.redis, shardOf("device-1", shardCount), { windowMs: 0, bytesMax: 0 });
  const left = await world.redis.xlen(key);
  assert.ok(left >= 300 && left < 600, `${left} of 600 entries are left, 300 are not stored`);
});

test("an entry that was deleted from the stream leaves its pending list and becomes an incident", async () => {
  await using world = await createWorld();
  await holdEntries(world, "consumer-1", [entryOf(1, records(1))]);
  const key = streamKey(shardOf("device-1", shardCount));
  const [entry] = await world.redis.xrange(key, "-", "+");
  await world.redis.xdel(key, entry![0]);
  const { metrics } = await startConsumer(world, "consumer-1");
  await waitFor("the pending list to be empty", async () => {
    return ((await world.redis.xpending(key, groupName)) as [number])[0] === 0;
  });
  assert.equal((await metrics.lost.get()).values[0]?.value, 1);
  assert.deepEqual(await world.rows("select kind, details->'entries'->>0 as entry from incidents"), [
    { kind: "entries_lost", entry: entry![0] },
  ]);
});

test("stores what it has in hand before it stops", async () => {
  await using world = await createWorld();
  const { stop, failures } = await startConsumer(world);
  await world.append(...Array.from({ length: 50 }, (_, index) => entryOf(index + 1, records(10))));
  await waitFor("the consumer to have entries in hand", async () => (await world.count("batches")) > 0);
  await stop();
  const stored = await world.count("batches");
  assert.equal(await world.unacknowledged(), 50 - stored);
  assert.deepEqual(failures, []);
});

test("acknowledges again what it had stored and forgotten when a group that was destroyed delivers it once more", async () => {
  await using world = await createWorld();
  const { metrics } = await startConsumer(world);
  await world.append(entryOf(1, records(2)), entryOf(2, records(2)));
  await everythingAcknowledged(world);
  await world.redis.xgroup("DESTROY", streamKey(shardOf("device-1", shardCount)), groupName);
  await waitFor("both batches to be recognised", async () => {
    const { values } = await metrics.batches.get();
    return values.find(({ labels }) => labels.outcome === "duplicate")?.value === 2;
  });
  await everythingAcknowledged(world);
  assert.equal(await world.count("records"), 4);
});
