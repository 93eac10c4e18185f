import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { digest } from "#batch/digest.ts";
import { limits } from "#batch/limits.ts";
import { scan } from "#batch/scan.ts";
import { createDatabase } from "#postgres/pool.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { Entry } from "#stream/entry.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { ReceivedBatch } from "../received-batch.ts";
import {
  createFixture,
  createTransaction,
  type Fixture,
  makeEntry,
  openTestPool,
  receivedAtMicros,
  records,
} from "../testing/fixture.ts";
import { readSessions } from "./sessions.ts";

function inHand(entry: Entry): ReceivedBatch {
  return { entryName: "test", entry, scanned: scan(entry.batch) };
}

const batches = (...sequences: number[]) =>
  sequences.map((sequence) => inHand(makeEntry(sequence, records(1))));

/** A batch that declares the sequences from its own to `lastSequence` as dropped. */
function makeDrop(sequence: bigint, lastSequence: bigint): ReceivedBatch {
  const named = { deviceId: "device-1", sessionId: "boot-1", sequence };
  const message = create(LogBatchSchema, { ...named, dropped: { lastSequence, reason: "memory was full" } });
  const batch = Buffer.from(toBinary(LogBatchSchema, message));
  return inHand({ ...named, receivedAtMicros, batch, digest: digest(scan(batch)) });
}

function setUp(fixture: Fixture) {
  const pool = openTestPool(fixture);
  const writer = createTransaction(pool);
  const db = createDatabase(pool);
  const question = { deviceId: "device-1", sessionId: "boot-1", withRanges: true };
  return {
    /** The progress of the session after this flush. */
    store: async (...batches: ReceivedBatch[]) =>
      (await writer.commit({ batches, deadLetters: [] })).progress.map(({ committed }) => Number(committed)),
    write: writer.commit.bind(writer),
    read: async () => (await readSessions(db, [question]))[0],
    readAll: (requests: Parameters<typeof readSessions>[1]) => readSessions(db, requests),
  };
}

test("committed is the end of the sequences without a hole from 1, in whatever order batches arrive", async () => {
  await using fixture = await createFixture();
  const { store, read } = setUp(fixture);
  assert.deepEqual(await store(...batches(2, 3)), [0]);
  assert.deepEqual(await store(...batches(1, 6)), [3]);
  assert.deepEqual(await store(...batches(5)), [3]);
  assert.deepEqual(await store(...batches(4)), [6]);
  assert.deepEqual(await store(...batches(2, 2, 5)), [6], "a retry tells it again");
  const session = { deviceId: "device-1", sessionId: "boot-1", committed: 6n, droppedCount: 0n };
  assert.deepEqual(await read(), { ...session, received: [["1", "6"]], dropped: [] });
});

test("a declared drop is stored once, and is no hole", async () => {
  await using fixture = await createFixture();
  const { store, write, read } = setUp(fixture);
  await store(...batches(1, 2, 9));
  assert.deepEqual(await store(makeDrop(3n, 8n)), [9]);
  assert.deepEqual(await store(makeDrop(3n, 8n)), [9]);
  const session = { deviceId: "device-1", sessionId: "boot-1", committed: 9n, droppedCount: 6n };
  const received = [
    ["1", "2"],
    ["9", "9"],
  ];
  assert.deepEqual(await read(), { ...session, received, dropped: [["3", "8"]] });
  assert.deepEqual(
    await fixture.rows(`select session_id, first_sequence, last_sequence, reason from drops`),
    [{ session_id: "boot-1", first_sequence: "3", last_sequence: "8", reason: "memory was full" }],
  );
  const { droppedBatches } = await write({ batches: [makeDrop(20n, 29n)], deadLetters: [] });
  assert.equal(droppedBatches, 10n);
});

test("a declared drop of a batch that arrived after all is no reused sequence", async () => {
  await using fixture = await createFixture();
  const { store } = setUp(fixture);
  await store(...batches(1, 2));
  await store(makeDrop(2n, 2n));
  assert.equal(await fixture.count("incidents"), 0);
});

test("the highest sequences settle without an error", async () => {
  await using fixture = await createFixture();
  const { store, read } = setUp(fixture);
  const max = limits.sequenceMax;
  const first = max - limits.droppedBatchesMax + 1n;
  await store(...batches(1), makeDrop(first, max));
  assert.partialDeepStrictEqual(await read(), { dropped: [[String(first), String(max)]] });
  assert.throws(
    () => makeDrop(first - 1n, max),
    /declares 4294967297 batches as dropped, the limit is 4294967296/,
  );
});

test("a batch that PostgreSQL refused as a whole is settled by its dead letter", async () => {
  await using fixture = await createFixture();
  const { store, write, read } = setUp(fixture);
  await store(...batches(1, 3));
  const [refused] = batches(2);
  const deadLetter = {
    reason: "r",
    raw: refused!.entry.batch,
    entryName: "n",
    entry: refused!.entry,
    settledBatch: refused!,
  };
  await write({ batches: [], deadLetters: [deadLetter] });
  assert.equal((await read())?.committed, 3n);
});

test("a sender without a session is counted without ranges, and the progress of an unknown session is 0", async () => {
  await using fixture = await createFixture();
  const { write, readAll } = setUp(fixture);
  const entry = {
    ...makeEntry(0, records(1), { sessionId: "" }),
    sessionId: "~0123456789abcdef",
    sequence: 1n,
  };
  assert.deepEqual((await write({ batches: [inHand(entry)], deadLetters: [] })).progress, []);
  assert.deepEqual(
    await fixture.rows("select session_id, received, batch_count, record_count from sessions"),
    [{ session_id: "~0123456789abcdef", received: "{}", batch_count: "1", record_count: "1" }],
  );
  const unknown = { deviceId: "unknown", sessionId: "boot", withRanges: false };
  assert.deepEqual(await readAll([unknown]), [
    { deviceId: "unknown", sessionId: "boot", committed: 0n, droppedCount: 0n },
  ]);
});

test("a session with a hole after every batch keeps its lowest ranges, and grows no further", async () => {
  await using fixture = await createFixture();
  const { store, read } = setUp(fixture);
  const odd = Array.from({ length: 3_000 }, (_, index) => 1 + 2 * index);
  await store(...batches(...odd));
  const before = await fixture.rows("select pg_column_size(received) as size from sessions");
  assert.ok(Number(before[0]?.["size"]) <= 32_768);
  const even = Array.from({ length: 3_000 }, (_, index) => 2 + 2 * index);
  await store(...batches(...even));
  await store(...batches(...odd));
  assert.equal((await read())?.committed, 6_000n, "sent again, all of it is remembered");
});

/** A batch of three records, received this many seconds later. */
function batchAt(sequence: number, seconds: number): ReceivedBatch {
  const sent = { receivedAtMicros: receivedAtMicros + seconds * 1_000_000 };
  return inHand(makeEntry(sequence, records(3), sent));
}

test("a session's counts and times are those of its batches, however often and in whatever order they come", async () => {
  await using fixture = await createFixture();
  const { write } = setUp(fixture);
  await write({ batches: [batchAt(2, 5), batchAt(3, 7), batchAt(3, 7)], deadLetters: [] });
  await write({ batches: [batchAt(2, 5), batchAt(1, 1)], deadLetters: [] });
  await write({ batches: [batchAt(3, 7), makeDrop(4n, 9n)], deadLetters: [] });
  const counted = await fixture.rows(`
    select batch_count, record_count, extract(epoch from first_received_at)::float8 as first,
      extract(epoch from last_received_at)::float8 as last from sessions`);
  const start = receivedAtMicros / 1e6;
  assert.deepEqual(counted, [{ batch_count: "4", record_count: "9", first: start, last: start + 7 }]);
});

test("the cost of a flush does not depend on the number of sessions and drops of its device", async () => {
  await using fixture = await createFixture();
  await setUp(fixture).store(...batches(1));
  await fixture.rows(`
    insert into sessions (device_key, session_id, received, dropped, first_received_at, last_received_at)
    select key, 's' || n, '{[1,2)}', '{}', now(), now() from devices, generate_series(1, 200000) n`);
  await fixture.rows(`
    insert into drops (batch_id, device_key, session_id, first_sequence, last_sequence, reason, received_at)
    select n, key, 's' || n, 1, 9, '', now() from devices, generate_series(1, 200000) n`);
  await fixture.rows("vacuum analyze sessions, drops");
  await fixture.rows("select pg_stat_reset()");
  const pool = openTestPool(fixture);
  await createTransaction(pool).commit({
    batches: [...batches(2, 3), makeDrop(4n, 9_999n)],
    deadLetters: [],
  });
  // A backend reports its statistics at the latest when it ends.
  await fixture.rows(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'fleetlog-consumer'`);
  const read = await waitFor("the statistics of the flush", async () => {
    const rows = await fixture.rows(`
      select relname, seq_tup_read::int as scanned, coalesce(idx_tup_fetch, 0)::int as fetched, n_tup_ins::int as inserted
      from pg_stat_user_tables where relname in ('sessions', 'drops', 'devices', 'incidents') order by relname`);
    return rows.some((row) => row["relname"] === "drops" && row["inserted"] === 1) ? rows : undefined;
  });
  for (const table of read) {
    // Reading the whole table of devices is fine: it has one row.
    assert.ok(Number(table["scanned"]) <= 10 && Number(table["fetched"]) <= 20, JSON.stringify(table));
  }
});
