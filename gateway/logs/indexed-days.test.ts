import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Kysely, sql } from "kysely";
import type { Pool } from "pg";
import { seededRandom } from "#batch/testing/random.ts";
import { type PartitionIndex, partitionIndexes } from "#postgres/partition-indexes.ts";
import { dayMs, ensurePartitions, partitionName } from "#postgres/partitions.ts";
import { createDatabase as createKysely } from "#postgres/pool.ts";
import type { Database } from "#postgres/tables.ts";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { openPool } from "../testing/open-pool.ts";
import {
  bruteForce,
  described,
  formatPosition,
  parsePosition,
  randomBatches,
  randomFilter,
} from "../testing/random-logs.ts";
import { seed } from "../testing/seed.ts";
import { walkBatches } from "./batch-walk.ts";
import { findLogs } from "./find-logs.ts";
import { everything } from "./log-filter.ts";
import { type LogPosition, newestFirst, oldestFirst } from "./log-order.ts";

const firstDayMs = Date.UTC(2023, 10, 14);
const random = seededRandom(23);
const upTo = (limit: number) => Math.floor(random() * limit);
const span = { startMicros: BigInt(firstDayMs) * 1000n, spanSeconds: (7 * dayMs) / 1000 };

let database: TestDatabase;
let pool: Pool;
let db: Kysely<Database>;

before(async () => {
  database = await createDatabase();
  pool = openPool(database.url);
  db = createKysely(pool);
});
after(async () => {
  await db.destroy();
  await database[Symbol.asyncDispose]();
});

async function build(day: number, ...indexes: readonly PartitionIndex[]): Promise<void> {
  const name = partitionName(firstDayMs + day * dayMs);
  for (const index of indexes) {
    const { suffix, method } = partitionIndexes[index];
    await sql`create index ${sql.ref(name + suffix)} on ${sql.table(name)} using ${method}`.execute(db);
  }
}

/** Seven days of arrival: the first is dropped, two have both indexes, two one of them, the last ones none. */
describe("over days with indexes, without, and dropped ones", () => {
  before(async () => {
    // A day without a partition, as after it was dropped: its batches' records lie in record_batches_default.
    await seed(pool, randomBatches(random, 40, { ...span, spanSeconds: dayMs / 1000 }));
    await sql`delete from records where batch_id in (select id from batches where id % 4 <> 0)`.execute(db);
    await ensurePartitions(db, { now: new Date(firstDayMs + 6 * dayMs), daysBack: 5, daysAhead: 0 });
    await seed(
      pool,
      randomBatches(random, 700, { ...span, startMicros: span.startMicros + BigInt(dayMs) * 1000n }),
    );
    await build(1, "text", "attributes");
    await build(2, "text", "attributes");
    await build(3, "attributes");
    await build(5, "text");
    await sql`analyze`.execute(db);
  });

  for (const order of [newestFirst, oldestFirst]) {
    test(`pages equal ORDER BY over everything, ${order.direction}`, async () => {
      for (let round = 0; round < 60; round++) {
        const text = ["DISK", "100", "ärger", "temp", "nothing"][upTo(5)] as string;
        const attributes = [
          { name: "unit", value: ["u0", "u1", "u4", "7", "true"][upTo(5)] },
          { name: "firmware", value: "2.1" },
          { name: "a=b", value: "\\" },
        ].filter(() => random() < 0.6);
        const rare = random() < 0.5 ? { texts: [text] } : { attributes };
        const filter = { ...randomFilter(random, span), ...rare };
        const all = await bruteForce(pool, filter, order);
        const pageSize = 1 + upTo(random() < 0.5 ? 20 : 400);
        const begin = random() < 0.5 ? 0 : upTo(all.length);
        const request = { order, pageSize, walkedRecordsMax: upTo(300), matchesMax: upTo(1000) };
        const found: LogPosition[] = [];
        let after = begin === 0 ? undefined : parsePosition(all[begin - 1] as string);
        for (let pages = 0; pages < 4; pages++) {
          const page = await findLogs(db, filter, { ...request, after });
          found.push(...page.logs);
          if (page.next === undefined) break;
          after = page.next;
        }
        const expected = all.slice(begin, begin + pageSize * 4);
        assert.deepEqual(
          found.map(formatPosition),
          expected,
          JSON.stringify({ round, ...request, ...described(filter) }),
        );
      }
    });
  }
});

test("the index finds a text in any case, also where it is no word of the database's locale", async () => {
  const startMs = Date.UTC(2022, 0, 10); // before all batches of the other test
  await ensurePartitions(db, { now: new Date(startMs), daysBack: 0, daysAhead: 0 });
  const messages = [
    "Überlauf in ÄRGERNIS",
    "ΣΊΣΥΦΟΣ rolls",
    "100 K and İstanbul",
    "a%b_c\\d 10.2.3.4",
    "日本語のログ",
    "\u212aİ kİ \u212ai",
  ];
  // The records that are read first, so that the indexes are used for the rest.
  const others = Array.from({ length: 20 }, () => "nothing to see");
  const at = BigInt(startMs) * 1000n;
  await seed(
    pool,
    [...messages, ...others].map((message) => ({
      deviceId: "words",
      receivedMicros: at,
      records: [{ timeMicros: at, message }],
    })),
  );
  const name = partitionName(startMs);
  const { suffix, method } = partitionIndexes.text;
  await sql`create index ${sql.ref(name + suffix)} on ${sql.table(name)} using ${method}`.execute(db);
  const range = { startMicros: at, endMicros: at + 1n };
  const texts = [
    "ärgernis",
    "ÜBERLAUF",
    "berlauf in är",
    "σίσυφ",
    "ROLLS",
    "100 k",
    "istanbul",
    "B_C\\D",
    "%B",
    "0.2.3",
    "本語",
    " ki",
    "and i",
    "İSTANBUL",
    "K AND",
  ];
  for (const text of texts) {
    const filter = { ...everything, ...range, texts: [text] };
    const find = async (walkedRecordsMax: number) =>
      (
        await findLogs(db, filter, { order: newestFirst, after: undefined, pageSize: 10, walkedRecordsMax })
      ).logs.map(({ record }) => record.message);
    const walked = await find(1_000_000);
    assert.equal(walked.length, 1, text);
    assert.deepEqual(await find(0), walked, text);
  }
});

test("no record of a day is read before its indexes were used", async () => {
  const endMs = Date.UTC(2022, 1, 10);
  await ensurePartitions(db, { now: new Date(endMs), daysBack: 3, daysAhead: 0 });
  const batches = Array.from({ length: 4 * 24 }, (_, hour) => {
    const at = BigInt(endMs + dayMs - (hour + 0.5) * 3_600_000) * 1000n;
    return { deviceId: "hourly", receivedMicros: at, records: [{ timeMicros: at, message: "quiet" }] };
  });
  await seed(pool, batches);
  const { suffix, method } = partitionIndexes.text;
  for (let day = 1; day <= 3; day++) {
    const name = partitionName(endMs - day * dayMs);
    await sql`create index ${sql.ref(name + suffix)} on ${sql.table(name)} using ${method}`.execute(db);
  }
  const startMicros = BigInt(endMs - 3 * dayMs) * 1000n;
  const filter = {
    ...everything,
    texts: ["loud"],
    startMicros,
    endMicros: startMicros + BigInt(4 * dayMs) * 1000n,
  };
  let [walked, earliest] = [0, Number.POSITIVE_INFINITY];
  for await (const { batches } of walkBatches(db, {
    filter,
    order: newestFirst,
    edgeMicros: undefined,
    recordsWanted: () => 10,
    walkedRecordsMax: 5,
  })) {
    walked += batches.length;
    for (const { lead_micros } of batches) earliest = Math.min(earliest, Number(lead_micros) / 1000);
  }
  assert.deepEqual([walked, earliest >= endMs], [24, true]);
});
