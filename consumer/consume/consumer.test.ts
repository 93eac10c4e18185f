import assert from "node:assert/strict";
import { test } from "node:test";
import { groupName, streamKey, toShard } from "#stream/keys.ts";
import { Reclaimer } from "#stream/reclaim.ts";
import { trim } from "#stream/trim.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { reclaim } from "../maintenance/stream.ts";
import {
  createFixture,
  type Fixture,
  holdEntries,
  makeEntry,
  records,
  shardCount,
  startConsumer,
} from "../testing/fixture.ts";

const shards = [0, 1];

function everythingAcknowledged(fixture: Fixture): Promise<true> {
  return waitFor("every entry to be acknowledged", async () => (await fixture.unacknowledged()) === 0);
}

async function statisticsEqualTheRecords(fixture: Fixture): Promise<void> {
  assert.deepEqual(
    await fixture.rows(`select minute, severity, record_count from log_statistics order by 1, 2`),
    await fixture.rows(`select date_trunc('minute', time) as minute, severity, count(*) as record_count
      from records group by 1, 2 order by 1, 2`),
  );
  assert.deepEqual(
    await fixture.rows(`select device_id, batch_count, record_count, error_count from devices order by 1`),
    await fixture.rows(`select device_id, count(distinct batch_id) as batch_count, count(*) as record_count,
      count(*) filter (where severity >= 17) as error_count
      from records join batches on batches.id = batch_id join devices on devices.key = device_key
      group by 1 order by 1`),
  );
  assert.deepEqual(
    await fixture.rows(
      `select sum(batch_count) as b, sum(record_count) as r, sum(error_count) as e from devices`,
    ),
    await fixture.rows(`select sum(batch_count) as b, sum(record_count) as r, sum(error_count) as e
      from device_statistics`),
  );
}

test("acknowledges an entry only after its records are committed", async () => {
  await using fixture = await createFixture();
  await fixture.holdFlushes();
  await startConsumer(fixture);
  await fixture.append(makeEntry(1, records(3)));
  await fixture.heldFlush();
  assert.equal(await fixture.unacknowledged(), 1);
  await fixture.rows("commit");
  await everythingAcknowledged(fixture);
  assert.equal(await fixture.count("records"), 3);
});

test("stores batches of many devices from every shard, and counts them exactly", async () => {
  await using fixture = await createFixture();
  const { metrics } = await startConsumer(fixture);
  const entries = Array.from({ length: 200 }, (_, index) =>
    makeEntry(index + 1, records(1 + (index % 90)), { deviceId: `device-${index % 9}` }),
  );
  await fixture.append(...entries, ...entries.slice(50, 120));
  await everythingAcknowledged(fixture);
  await fixture.append(...entries.slice(0, 60));
  await everythingAcknowledged(fixture);
  assert.equal(await fixture.count("batches"), 200);
  await statisticsEqualTheRecords(fixture);
  const { values } = await metrics.batches.get();
  assert.deepEqual(Object.fromEntries(values.map(({ labels, value }) => [labels.outcome, value])), {
    stored: 200,
    duplicate: 130,
  });
});

test("two consumers share the stream and store each batch once", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture, "consumer-1");
  await startConsumer(fixture, "consumer-2");
  const entries = Array.from({ length: 100 }, (_, index) => makeEntry(index + 1, records(20)));
  await fixture.append(...entries, ...entries);
  await everythingAcknowledged(fixture);
  assert.equal(await fixture.count("records"), 2_000);
  await statisticsEqualTheRecords(fixture);
});

test("stores a malformed entry in dead_letters, acknowledges it and continues", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture);
  await fixture.redis.xadd(streamKey(0), "*", "hello", "world");
  await fixture.append(makeEntry(1, records(2)));
  await everythingAcknowledged(fixture);
  assert.equal(await fixture.count("records"), 2);
  const [deadLetter] = await fixture.rows(
    "select reason, convert_from(raw, 'utf8') as raw, entry from dead_letters",
  );
  assert.match(String(deadLetter?.reason), /"version" is missing/);
  assert.equal(deadLetter?.raw, "hello\nworld\n");
  assert.match(String(deadLetter?.entry), /^fleetlog:\{0\}:batches\/\d+-\d+$/);
});

test("after a crash first stores the entries that were delivered before", async () => {
  await using fixture = await createFixture();
  await holdEntries(fixture, "consumer-1", [makeEntry(1, records(2)), makeEntry(2, records(2))]);
  await startConsumer(fixture, "consumer-1");
  await everythingAcknowledged(fixture);
  assert.equal(await fixture.count("records"), 4);
});

test("takes over the entries of a dead consumer", async () => {
  await using fixture = await createFixture();
  await holdEntries(fixture, "dead", [makeEntry(1, records(2)), makeEntry(2, records(2))]);
  const { consumer, commandRedis, metrics } = await startConsumer(fixture);
  const reclaimer = new Reclaimer(commandRedis, {
    shards,
    consumer: "consumer-1",
    idleMinMs: 0,
    countMax: 10,
  });
  await reclaim({ reclaimer, consumer, metrics, signal: new AbortController().signal });
  await everythingAcknowledged(fixture);
  assert.equal(await fixture.count("records"), 4);
});

test("processes an entry once, even when it is delivered again before it is stored", async () => {
  await using fixture = await createFixture();
  await fixture.holdFlushes();
  const { consumer, commandRedis, metrics } = await startConsumer(fixture);
  await fixture.append(makeEntry(1, records(2)));
  await waitFor("the entry to be delivered", async () => {
    const [pending] = (await fixture.redis.xpending(
      streamKey(toShard("device-1", shardCount)),
      groupName,
    )) as [number];
    return pending === 1;
  });
  const reclaimer = new Reclaimer(commandRedis, {
    shards,
    consumer: "consumer-1",
    idleMinMs: 0,
    countMax: 10,
  });
  await reclaim({ reclaimer, consumer, metrics, signal: new AbortController().signal });
  await fixture.rows("commit");
  await everythingAcknowledged(fixture);
  const { values } = await metrics.batches.get();
  assert.equal(values.find(({ labels }) => labels.outcome === "duplicate")?.value, 0);
});

test("stores a flush once when PostgreSQL ends its connection in the middle, and keeps no dead letter", async () => {
  await using fixture = await createFixture();
  const { metrics, readiness } = await startConsumer(fixture);
  for (let round = 1; round <= 3; round++) {
    await fixture.holdFlushes();
    await fixture.append(makeEntry(round, records(50)));
    await fixture.rows(`select pg_terminate_backend(${await fixture.heldFlush()})`);
    await waitFor("the failed attempt to be counted", async () => {
      const { values } = await metrics.retries.get();
      return values.reduce((sum, { value }) => sum + value, 0) >= round;
    });
    await fixture.rows("commit");
    await everythingAcknowledged(fixture);
  }
  assert.equal(await fixture.count("records"), 150);
  assert.equal(await fixture.count("dead_letters"), 0);
  assert.deepEqual(readiness.reasons, []);
  await statisticsEqualTheRecords(fixture);
});

test("stores a flush once when PostgreSQL is paused in the middle and continues later", async () => {
  await using fixture = await createFixture();
  const { metrics } = await startConsumer(fixture, "consumer-1", 1_000);
  await fixture.holdFlushes();
  await fixture.append(makeEntry(1, records(50)));
  const backend = await fixture.heldFlush();
  process.kill(backend, "SIGSTOP");
  try {
    await fixture.rows("commit");
    // The first attempt hangs until the client gives up; the second waits for the first one's rows in the ledger.
    await waitFor("the failed attempts to be counted", async () => {
      const { values } = await metrics.retries.get();
      return values.reduce((sum, { value }) => sum + value, 0) >= 2;
    });
  } finally {
    process.kill(backend, "SIGCONT");
  }
  await everythingAcknowledged(fixture);
  assert.equal(await fixture.count("records"), 50);
  await statisticsEqualTheRecords(fixture);
});

test("misses nothing when Redis breaks its connections, and stores each batch once", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture);
  for (let round = 0; round < 5; round++) {
    await fixture.append(
      ...Array.from({ length: 40 }, (_, index) => makeEntry(1 + round * 40 + index, records(5))),
    );
    await fixture.redis.call("client", "kill", "type", "normal", "skipme", "yes");
  }
  await everythingAcknowledged(fixture);
  assert.equal(await fixture.count("batches"), 200);
  assert.equal(await fixture.count("records"), 1_000);
});

test("trims only stored entries", async () => {
  await using fixture = await createFixture();
  const key = streamKey(toShard("device-1", shardCount));
  const { stop } = await startConsumer(fixture);
  const entries = Array.from({ length: 300 }, (_, index) => makeEntry(index + 1, records(1)));
  await fixture.append(...entries);
  await everythingAcknowledged(fixture);
  await stop();
  await fixture.append(...entries.map((entry) => ({ ...entry, sessionId: "boot-2" })));
  await trim(fixture.redis, toShard("device-1", shardCount), { windowMs: 0, bytesMax: 0 });
  const left = await fixture.redis.xlen(key);
  assert.ok(left >= 300 && left < 600, `${left} of 600 entries are left, 300 are not stored`);
});

test("an entry that was deleted from the stream leaves its pending list and becomes an incident", async () => {
  await using fixture = await createFixture();
  await holdEntries(fixture, "consumer-1", [makeEntry(1, records(1))]);
  const key = streamKey(toShard("device-1", shardCount));
  const [entry] = await fixture.redis.xrange(key, "-", "+");
  await fixture.redis.xdel(key, entry![0]);
  const { metrics } = await startConsumer(fixture, "consumer-1");
  await waitFor("the pending list to be empty", async () => {
    return ((await fixture.redis.xpending(key, groupName)) as [number])[0] === 0;
  });
  assert.equal((await metrics.lost.get()).values[0]?.value, 1);
  assert.deepEqual(await fixture.rows("select kind, details->'entries'->>0 as entry from incidents"), [
    { kind: "entries_lost", entry: entry![0] },
  ]);
});

test("stores the entries in flight before it stops", async () => {
  await using fixture = await createFixture();
  const { stop, failures } = await startConsumer(fixture);
  await fixture.append(...Array.from({ length: 50 }, (_, index) => makeEntry(index + 1, records(10))));
  await waitFor("the consumer to have entries in flight", async () => (await fixture.count("batches")) > 0);
  await stop();
  const stored = await fixture.count("batches");
  assert.equal(await fixture.unacknowledged(), 50 - stored);
  assert.deepEqual(failures, []);
});

test("acknowledges stored entries again when a destroyed and recreated group delivers them again", async () => {
  await using fixture = await createFixture();
  const { metrics } = await startConsumer(fixture);
  await fixture.append(makeEntry(1, records(2)), makeEntry(2, records(2)));
  await everythingAcknowledged(fixture);
  await fixture.redis.xgroup("DESTROY", streamKey(toShard("device-1", shardCount)), groupName);
  await waitFor("both batches to be recognised", async () => {
    const { values } = await metrics.batches.get();
    return values.find(({ labels }) => labels.outcome === "duplicate")?.value === 2;
  });
  await everythingAcknowledged(fixture);
  assert.equal(await fixture.count("records"), 4);
});
