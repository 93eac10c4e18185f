import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "pg";
import { createRegistry } from "#lib/metrics.ts";
import { ensurePartitions } from "#postgres/partitions.ts";
import { createDatabase } from "#postgres/pool.ts";
import type { Entry } from "#stream/entry.ts";
import { findDisagreements } from "#test/faults/agreement.ts";
import { createMetrics } from "../metrics.ts";
import { decodeDelivery, isBatch } from "../received-batch.ts";
import {
  createFixture,
  createTransaction,
  type Fixture,
  logger,
  makeEntry,
  openTestPool,
} from "../testing/fixture.ts";
import { startProgram } from "../testing/program.ts";
import { closePartitions } from "./closed-partitions.ts";
import { dateAnew } from "./dating.ts";

const second = 1_000_000;
/** Noon of a day for which no clock creates partitions. */
const noon = Date.UTC(2031, 5, 29, 12) * 1000;
/** When the devices booted, by their own clocks: an hour before their batches arrive. */
const bootedAt = noon - 3600 * second;

type Records = Parameters<typeof makeEntry>[1];

/** Records with these uptimes in seconds, without a time. */
const up = (...seconds: readonly number[]): Records =>
  seconds.map((value, index) => ({
    uptimeNano: BigInt(value) * 1_000_000_000n,
    severity: index % 2 === 0 ? 9 : 17,
    message: `after ${value} s`,
  }));

/** A record with a time and an uptime, from which the boot is known. */
const timed = (uptime: number): Records => [
  { ...up(uptime)[0]!, timeUnixNano: BigInt(bootedAt + uptime * second) * 1000n },
];

async function setUp(fixture: Fixture) {
  const pool = openTestPool(fixture);
  const writer = createTransaction(pool);
  const client = new Client({ connectionString: fixture.databaseUrl });
  await client.connect();
  fixture.stack.defer(() => client.end());
  await ensurePartitions(createDatabase(pool), { now: new Date(noon / 1000), daysAhead: 1, daysBack: 2 });
  const metrics = createMetrics(createRegistry("consumer"));
  const options = { pool, metrics, logger, signal: new AbortController().signal, recordDays: 30 };
  return {
    options,
    store: (...entries: Entry[]) => {
      const batches = entries.map((entry) => {
        const decoded = decodeDelivery({ shard: 0, id: "1-0", entry });
        assert(isBatch(decoded));
        return decoded;
      });
      return writer.commit({ batches, deadLetters: [] });
    },
    date: () => dateAnew(options),
    /** Seconds after the boot and the TimeSource of every record, by message. */
    times: async (): Promise<Record<string, [seconds: number, source: number]>> =>
      Object.fromEntries(
        (
          await fixture.rows(
            `select message, extract(epoch from time) * 1e6 as micros, coalesce(flags, 0) >> 1 as source from records`,
          )
        ).map(({ message, micros, source }) => [
          message,
          [(Number(micros) - bootedAt) / second, Number(source)],
        ]),
      ),
    waiting: () => fixture.count("undated_batches"),
    assertAgreement: async () => assert.deepEqual(await findDisagreements(client, "%"), []),
  };
}

const entryOf = (sequence: number, records: Records, changes: Partial<Entry> = {}): Entry => ({
  ...makeEntry(sequence, records, { receivedAtMicros: noon, ...changes }),
  ...changes,
});

test("a device that learns the time later gets its earlier records dated, and every count agrees", async () => {
  await using fixture = await createFixture();
  const { store, date, times, waiting, assertAgreement } = await setUp(fixture);
  await store(entryOf(1, up(10, 12)), entryOf(2, up(100), { bootedAtMicros: noon - 200 * second }));
  await date();
  assert.deepEqual(await times(), {
    "after 10 s": [3598, 2],
    "after 12 s": [3600, 2],
    "after 100 s": [3500, 2],
  });
  assert.equal(await waiting(), 2);
  await assertAgreement();

  await store(entryOf(3, timed(3500)));
  await date();
  assert.deepEqual(await times(), {
    "after 10 s": [10, 1],
    "after 12 s": [12, 1],
    "after 100 s": [100, 1],
    "after 3500 s": [3500, 0],
  });
  assert.equal(await waiting(), 0);
  await assertAgreement();
  const kept = await fixture.rows(
    `select extract(epoch from uptime)::int as uptime, extract(epoch from received_at) * 1e6 as received
       from logs order by sequence, idx limit 1`,
  );
  assert.deepEqual(kept, [{ uptime: 10, received: `${noon}.000000` }]);
  assert.deepEqual(await fixture.rows("select has_undated from sessions"), [{ has_undated: false }]);
});

test("records that are stored after one with a time and an uptime are dated by it as well", async () => {
  await using fixture = await createFixture();
  const { store, date, times, assertAgreement } = await setUp(fixture);
  await store(entryOf(2, timed(50)));
  await store(entryOf(1, up(40)));
  await date();
  assert.deepEqual((await times())["after 40 s"], [40, 1]);
  await assertAgreement();
});

test("within a batch only the estimated times change, and every other record keeps all that it has", async () => {
  await using fixture = await createFixture();
  const { store, date, times, assertAgreement } = await setUp(fixture);
  const timeUnixNano = BigInt(noon) * 1000n;
  const other = [
    { message: "by its clock", timeUnixNano, attributes: [{ key: "a", value: "b" }] },
    { message: "observed", observedTimeUnixNano: timeUnixNano - 1_000_000_000n },
    { message: "received" },
  ];
  await store(entryOf(1, [...other, ...up(10), ...other, ...up(20)] as Records));
  const others = () => fixture.rows("select * from records where message !~ '^after' order by idx");
  const before = await others();
  assert.equal(before.length, 6);
  await store(entryOf(2, timed(50)));
  await date();
  assert.deepEqual(await others(), before);
  const dated = await times();
  assert.deepEqual(
    [dated["after 10 s"], dated["after 20 s"]],
    [
      [10, 1],
      [20, 1],
    ],
  );
  await assertAgreement();
});

test("another session or device, and records whose time is known, keep their times", async () => {
  await using fixture = await createFixture();
  const { store, date, times, waiting } = await setUp(fixture);
  await store(
    entryOf(1, up(10)),
    entryOf(2, timed(50)),
    entryOf(1, up(20), { sessionId: "boot-2" }),
    entryOf(1, up(30), { deviceId: "device-2" }),
    entryOf(3, [{ message: "unknown" }]),
  );
  await date();
  assert.deepEqual(await times(), {
    "after 10 s": [10, 1],
    "after 50 s": [50, 0],
    "after 20 s": [3600, 2],
    "after 30 s": [3600, 2],
    unknown: [3600, 4],
  });
  assert.equal(await waiting(), 2);
});

test("a retry with another uptime of its request is the same batch", async () => {
  await using fixture = await createFixture();
  const { store, times } = await setUp(fixture);
  const batch = entryOf(1, up(10), { bootedAtMicros: noon - 10 * second });
  assert.equal((await store(batch)).batches, 1);
  const retry = { ...batch, receivedAtMicros: noon + 60 * second, bootedAtMicros: noon - 9 * second };
  assert.equal((await store(retry)).duplicateBatches, 1);
  assert.deepEqual(await times(), { "after 10 s": [3600, 2] });
});

test("more than a hundred batches are dated in several transactions, by two consumers at once, each once", async () => {
  await using fixture = await createFixture();
  const { store, options, times, waiting, assertAgreement } = await setUp(fixture);
  const count = 350;
  await store(...Array.from({ length: count }, (_, index) => entryOf(index + 1, up(index))));
  await store(entryOf(count + 1, timed(3599)));
  const other = openTestPool(fixture);
  await Promise.all([dateAnew(options), dateAnew({ ...options, pool: other })]);
  await dateAnew(options);
  assert.equal(await waiting(), 0);
  const dated = await times();
  for (let index = 1; index < count; index++) assert.deepEqual(dated[`after ${index} s`], [index, 1]);
  await assertAgreement();
});

test("closed days are dated too", async () => {
  await using fixture = await createFixture();
  const { store, options, date, times, assertAgreement } = await setUp(fixture);
  await store(entryOf(1, up(10)), entryOf(2, up(11)));
  await closePartitions({ ...options, isBehind: async () => false }, new Date(noon / 1000 + 2 * 86_400_000));
  await store(entryOf(3, timed(50)));
  await date();
  assert.deepEqual((await times())["after 11 s"], [11, 1]);
  await assertAgreement();
});

test("a consumer that is killed while it dates leaves nothing half done, and the next one does it", async () => {
  await using fixture = await createFixture();
  const { store, times, waiting, assertAgreement } = await setUp(fixture);
  await store(entryOf(1, up(10)), entryOf(2, up(11)));
  await store(entryOf(3, timed(50)));
  await fixture.holdFlushes();
  const first = await startProgram(fixture);
  await fixture.heldFlush();
  first.child.kill("SIGKILL");
  await first.exited;
  await fixture.rows("rollback");
  assert.deepEqual((await times())["after 10 s"], [3600, 2]);
  await assertAgreement();
  const second = await startProgram(fixture);
  await second.logged("dated records anew");
  assert.equal(await waiting(), 0);
  assert.deepEqual((await times())["after 10 s"], [10, 1]);
  await assertAgreement();
});

test("a minute that retention has removed gets nothing taken away", async () => {
  await using fixture = await createFixture();
  const { store, date } = await setUp(fixture);
  await store(entryOf(1, up(10)));
  await fixture.rows("delete from log_statistics");
  await store(entryOf(2, timed(50)));
  await date();
  const counts = await fixture.rows("select record_count from log_statistics order by minute");
  assert.deepEqual(counts, [{ record_count: "2" }]);
});

test("a device that never learns the time is forgotten after 30 days, or with its records", async () => {
  await using fixture = await createFixture();
  const { options, waiting } = await setUp(fixture);
  await fixture.rows(
    `insert into undated_batches select ${idAt(29)}, 1, 'a' union all select ${idAt(31)}, 1, 'a'
     union all select ${idAt(8)}, 1, 'a' union all select ${idAt(6)}, 1, 'a'`,
  );
  await dateAnew({ ...options, recordDays: 0 });
  assert.equal(await waiting(), 3);
  await dateAnew({ ...options, recordDays: 7 });
  assert.equal(await waiting(), 1);
});

/** The id of a batch that arrived this many days ago. */
function idAt(days: number): string {
  return `(extract(epoch from now() - interval '${days} days') * 1000)::bigint << 20`;
}
