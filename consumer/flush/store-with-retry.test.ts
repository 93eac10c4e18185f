import assert from "node:assert/strict";
import { test } from "node:test";
import { scan } from "#batch/scan.ts";
import { createRegistry } from "#lib/metrics.ts";
import { Readiness } from "#lib/readiness.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { createMetrics } from "../metrics.ts";
import { type DeadLetter, decodeDelivery, isBatch, type ReceivedBatch } from "../received-batch.ts";
import {
  createFixture,
  createTransaction,
  logger,
  makeEntry,
  openTestPool,
  receivedAtMicros,
  records,
} from "../testing/fixture.ts";
import { AdaptiveFlushLimit } from "./adaptive-limit.ts";
import { type StoreOptions, storeWithRetry } from "./store-with-retry.ts";
import type { Flush, FlushTransaction } from "./transaction.ts";

function toolsWith(writer: FlushTransaction): StoreOptions {
  const metrics = createMetrics(createRegistry("consumer"));
  const signal = AbortSignal.timeout(60_000);
  return {
    transaction: writer,
    limit: new AdaptiveFlushLimit(),
    logger,
    metrics,
    readiness: new Readiness([]),
    signal,
  };
}

function makeFlush(...entries: readonly ReturnType<typeof makeEntry>[]): Flush {
  const taken = entries.map((entry, index): ReceivedBatch | DeadLetter =>
    decodeDelivery({ shard: 0, id: `1-${index}`, entry }),
  );
  return {
    batches: taken.filter((item) => isBatch(item)),
    deadLetters: taken.filter((item) => !isBatch(item)) as DeadLetter[],
  };
}

test("stores batches with their records, times to the microsecond, and the counts of the device", async () => {
  await using fixture = await createFixture();
  const tools = toolsWith(createTransaction(openTestPool(fixture)));
  const [stored] = await storeWithRetry(tools, makeFlush(makeEntry(1, records(4)), makeEntry(2, records(2))));
  const { progress, incidents, ...counts } = stored!;
  const none = {
    duplicateBatches: 0,
    duplicateRecords: 0,
    recognisedRetries: 0,
    deadLetters: 0,
    summarizedDeadLetters: 0,
    droppedBatches: 0n,
  };
  assert.deepEqual(counts, { batches: 2, records: 6, ...none });
  assert.deepEqual(incidents, { sequence_reused: 0, clock_ahead: 0, entries_lost: 0 });
  assert.deepEqual(progress, [
    { deviceId: "device-1", sessionId: "boot-1", committed: 2n, droppedCount: 0n },
  ]);
  assert.deepEqual(
    await fixture.rows(`select to_char(time at time zone 'utc', 'HH24:MI:SS.US') as time, device_id, session_id,
      sequence, idx, severity, logger, message, attributes,
      encode(trace_id, 'hex') as trace_id, encode(span_id, 'hex') as span_id, event_name from logs where sequence = 1 and idx = 3`),
    [
      {
        time: "00:00:02.500000",
        device_id: "device-1",
        session_id: "boot-1",
        sequence: "1",
        idx: 3,
        severity: 9,
        logger: "test",
        message: "hello 3",
        attributes: {},
        trace_id: "0af7651916cd43dd8448eb211c80319c",
        span_id: null,
        event_name: "test.event",
      },
    ],
  );
  assert.deepEqual(
    await fixture.rows("select batch_count, record_count, error_count, dead_letter_count from devices"),
    [{ batch_count: "2", record_count: "6", error_count: "1", dead_letter_count: "0" }],
  );
  assert.deepEqual(await fixture.rows("select (id >> 20) * 1000 as micros from batches limit 1"), [
    { micros: String(receivedAtMicros) },
  ]);
});

test("stores a batch once, however often it is in one flush and in how many flushes", async () => {
  await using fixture = await createFixture();
  const tools = toolsWith(createTransaction(openTestPool(fixture)));
  const entry = makeEntry(1, records(5));
  const [first] = await storeWithRetry(tools, makeFlush(entry, entry, makeEntry(2, records(5))));
  const [second] = await storeWithRetry(tools, makeFlush(makeEntry(2, records(5)), entry));
  assert.deepEqual([first?.batches, first?.duplicateBatches], [2, 1]);
  assert.deepEqual([second?.batches, second?.duplicateBatches], [0, 2]);
  assert.equal(await fixture.count("records"), 10);
});

test("two consumers that store the same batches at the same time store them once and do not deadlock", async () => {
  await using fixture = await createFixture();
  const entries = Array.from({ length: 60 }, (_, index) =>
    makeEntry(index + 1, records(10), { deviceId: `device-${index % 7}` }),
  );
  const pools = [openTestPool(fixture), openTestPool(fixture)];
  const flushes = [entries, entries.toReversed(), entries.slice(20), entries.slice(0, 40).toReversed()];
  const tools = flushes.map((_, index) => toolsWith(createTransaction(pools[index % 2]!)));
  await Promise.all(flushes.map((own, index) => storeWithRetry(tools[index]!, makeFlush(...own))));
  assert.equal(await fixture.count("records"), 600);
  assert.deepEqual(await fixture.rows("select sum(record_count)::int as n from devices"), [{ n: 600 }]);
  assert.deepEqual(await fixture.rows("select sum(record_count)::int as n from log_statistics"), [
    { n: 600 },
  ]);
  const retries = await Promise.all(tools.map(({ metrics }) => metrics.retries.get()));
  assert.deepEqual(
    retries.flatMap(({ values }) => values),
    [],
  );
});

test("stores another batch with the same sequence, and reports it once", async () => {
  await using fixture = await createFixture();
  const tools = toolsWith(createTransaction(openTestPool(fixture)));
  const same = makeEntry(1, records(1, "same"));
  await storeWithRetry(tools, makeFlush(same, makeEntry(1, records(1, "flush")), makeEntry(2, records(1))));
  await storeWithRetry(tools, makeFlush(same, makeEntry(1, records(1, "later"))));
  assert.equal(await fixture.count("records"), 4);
  assert.deepEqual(
    await fixture.rows(`select kind, details->>'session_id' as session, (details->>'sequence')::int as sequence,
      jsonb_array_length(details->'other_batch_ids') as others from incidents order by id`),
    [
      { kind: "sequence_reused", session: "boot-1", sequence: 1, others: 1 },
      { kind: "sequence_reused", session: "boot-1", sequence: 1, others: 2 },
    ],
  );
});

test("keeps rejected records in dead_letters with reason and bytes, and stores their neighbours", async () => {
  await using fixture = await createFixture();
  const tools = toolsWith(createTransaction(openTestPool(fixture)));
  const entry = makeEntry(1, [{ message: "good" }, { message: "a\0b" }, { message: "also good" }]);
  await storeWithRetry(tools, makeFlush(entry));
  await storeWithRetry(tools, makeFlush(entry));
  assert.deepEqual(await fixture.rows("select idx, message from records order by idx"), [
    { idx: 0, message: "good" },
    { idx: 2, message: "also good" },
  ]);
  assert.deepEqual(
    await fixture.rows(`select device_id, sequence, idx, reason ~ 'message' as named,
      position('\\x610062' in raw) > 0 as whole, raw_bytes from dead_letters`),
    [{ device_id: "device-1", sequence: "1", idx: 1, named: true, whole: true, raw_bytes: 5 }],
  );
  assert.deepEqual(await fixture.rows("select record_count, dead_letter_count from devices"), [
    { record_count: "2", dead_letter_count: "1" },
  ]);
});

test("stores an entry with an unreadable batch in dead_letters, once, cut at 64 KiB", async () => {
  await using fixture = await createFixture();
  const tools = toolsWith(createTransaction(openTestPool(fixture)));
  const entry = { ...makeEntry(1, records(1)), batch: Buffer.alloc(100_000, 0xff) };
  const foreign = { ...makeEntry(2, records(1)), deviceId: "device-2" };
  await storeWithRetry(tools, makeFlush(entry, foreign, makeEntry(3, records(1))));
  await storeWithRetry(tools, makeFlush(entry));
  assert.deepEqual(
    await fixture.rows("select sequence, idx, length(raw), raw_bytes from dead_letters order by id"),
    [
      { sequence: "1", idx: null, length: 65_536, raw_bytes: 100_000 },
      { sequence: "2", idx: null, length: foreign.batch.length, raw_bytes: foreign.batch.length },
    ],
  );
  assert.equal(await fixture.count("records"), 1);
});

test("finds the records PostgreSQL refuses and stores all others of the flush", async () => {
  await using fixture = await createFixture();
  await fixture.rows(
    "alter table record_batches add constraint no_secrets check (array_to_string(messages, ' ') !~ 'secret')",
  );
  const tools = toolsWith(createTransaction(openTestPool(fixture)));
  const faulty = [
    ...records(5),
    { message: "secret 1" },
    ...records(7),
    { message: "secret 2", severity: Severity.ERROR },
  ];
  const stored = await storeWithRetry(
    tools,
    makeFlush(
      makeEntry(1, records(3)),
      makeEntry(2, faulty),
      makeEntry(3, records(3)),
      makeEntry(4, records(3)),
    ),
  );
  assert.equal(
    stored.reduce((sum, { records }) => sum + records, 0),
    21,
  );
  assert.equal(await fixture.count("records"), 21);
  assert.deepEqual(
    await fixture.rows("select sequence, idx, reason ~ 'no_secrets' as named from dead_letters order by idx"),
    [
      { sequence: "2", idx: 5, named: true },
      { sequence: "2", idx: 13, named: true },
    ],
  );
  assert.deepEqual(
    await fixture.rows("select record_count, rejected_count from batches where sequence = 2"),
    [{ record_count: 12, rejected_count: 2 }],
  );
  assert.deepEqual(await fixture.rows("select batch_count, record_count, dead_letter_count from devices"), [
    { batch_count: "4", record_count: "21", dead_letter_count: "2" },
  ]);
});

test("keeps a batch in dead_letters when PostgreSQL refuses its row in the ledger", async () => {
  await using fixture = await createFixture();
  await fixture.rows("alter table batches add constraint no_13 check (sequence <> 13)");
  const tools = toolsWith(createTransaction(openTestPool(fixture)));
  await storeWithRetry(
    tools,
    makeFlush(makeEntry(12, records(3)), makeEntry(13, records(3)), makeEntry(14, records(3))),
  );
  assert.equal(await fixture.count("records"), 6);
  assert.deepEqual(await fixture.rows("select sequence, idx, reason ~ 'no_13' as named from dead_letters"), [
    { sequence: "13", idx: null, named: true },
  ]);
});

test("recognises a retry that arrives after midnight, in another partition", async () => {
  await using fixture = await createFixture();
  const tools = toolsWith(createTransaction(openTestPool(fixture)));
  const sent = makeEntry(1, records(3));
  await storeWithRetry(tools, makeFlush(sent));
  const [retried] = await storeWithRetry(
    tools,
    makeFlush({ ...sent, receivedAtMicros: receivedAtMicros + 1_000_000 }),
  );
  assert.deepEqual([retried?.batches, retried?.duplicateBatches], [0, 1]);
  assert.equal(await fixture.count("records"), 3);
});

test("reads the keys of devices again after the connection was lost, since the database may be another one", async () => {
  await using fixture = await createFixture();
  const tools = toolsWith(createTransaction(openTestPool(fixture)));
  await storeWithRetry(tools, makeFlush(makeEntry(1, records(3))));
  await fixture.rows(
    "truncate devices, batches, record_batches, log_statistics, device_statistics restart identity",
  );
  await fixture.rows(
    "insert into devices (device_id, first_seen, last_seen) values ('device-0', now(), now())",
  );
  await fixture.rows(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'fleetlog-consumer'",
  );
  await storeWithRetry(tools, makeFlush(makeEntry(1, records(3))));
  assert.deepEqual(await fixture.rows("select device_id, record_count from devices order by device_id"), [
    { device_id: "device-0", record_count: "0" },
    { device_id: "device-1", record_count: "3" },
  ]);
});

test("splits a flush that exceeds the statement timeout, and stores whole flushes again later", async () => {
  await using fixture = await createFixture();
  // A statement with more than 10 records never ends.
  await fixture.rows(`create function be_slow() returns trigger language plpgsql as $$
    begin if (select sum(cardinality(times)) from fresh) > 10 then perform pg_sleep(600); end if; return null; end $$`);
  await fixture.rows(`create trigger be_slow after insert on record_batches referencing new table as fresh
    for each statement execute function be_slow()`);
  const tools = toolsWith(createTransaction(openTestPool(fixture, 300)));
  let sequence = 0;
  const next = () => makeFlush(...Array.from({ length: 10 }, () => makeEntry((sequence += 1), records(4))));
  const deadLetter = { entryName: "1-0", reason: "no batch", raw: Buffer.from("?") };
  const stored = await storeWithRetry(tools, { ...next(), deadLetters: [deadLetter] });
  assert.equal(await fixture.count("records"), 40);
  assert.equal(await fixture.count("dead_letters"), 1);
  assert.equal(Math.max(...stored.map(({ records }) => records)) <= 10, true);
  assert.equal((await tools.metrics.retries.get()).values[0]?.labels.class, "57");

  await fixture.rows("drop trigger be_slow on record_batches");
  const pieces: number[] = [];
  while (pieces.at(-1) !== 1 && pieces.length < 50) pieces.push((await storeWithRetry(tools, next())).length);
  assert.equal(pieces.at(-1), 1);
  assert.ok(pieces[0]! > 1, `the first flush in ${pieces[0]} piece`);
  assert.deepEqual(await fixture.rows("select record_count, dead_letter_count from devices"), [
    { record_count: String(sequence * 4), dead_letter_count: "0" },
  ]);
});

test("a new device is first and last seen when its stored batches were received, whatever else is in the flush", async () => {
  await using fixture = await createFixture();
  const writer = createTransaction(openTestPool(fixture));
  const retried = makeEntry(1, records(1));
  const later = makeEntry(1, records(1), { receivedAtMicros: receivedAtMicros + 60_000_000 });
  const batches = [retried, later].map((entry) => ({ entryName: "test", entry, scanned: scan(entry.batch) }));
  await writer.commit({ batches, deadLetters: [] });
  const [device] = await fixture.rows(
    "select first_seen = last_seen as is_once, last_seen = received_at as is_stored from devices, batches",
  );
  assert.deepEqual(device, { is_once: true, is_stored: true });
});
