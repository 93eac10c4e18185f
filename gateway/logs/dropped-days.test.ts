import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { sql } from "kysely";
import type { Pool } from "pg";
import { seededRandom } from "#batch/testing/random.ts";
import { dayMs, ensurePartitions } from "#postgres/partitions.ts";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import { openPool } from "../testing/open-pool.ts";
import { openReadDatabase } from "../testing/open-read-database.ts";
import {
  bruteForce,
  described,
  formatPosition,
  parsePosition,
  randomBatches,
  randomFilter,
} from "../testing/random-logs.ts";
import { seed } from "../testing/seed.ts";
import { findLogs } from "./find-logs.ts";
import { type LogPosition, newestFirst, oldestFirst } from "./log-order.ts";

const firstDayMs = Date.UTC(2023, 10, 14);
const random = seededRandom(23);
const upTo = (limit: number) => Math.floor(random() * limit);
const span = { startMicros: BigInt(firstDayMs) * 1000n, spanSeconds: (7 * dayMs) / 1000 };

let database: TestDatabase;
let pool: Pool;
let db: ReadDatabase;

before(async () => {
  database = await createDatabase();
  pool = openPool(database.url);
  db = await openReadDatabase(database.url);
});
after(async () => {
  await db.destroy();
  await pool.end();
  await database[Symbol.asyncDispose]();
});

/** Seven days of arrival, of which the first is dropped. */
describe("over days some of which were dropped", () => {
  before(async () => {
    // A day without a partition, as after it was dropped: its batches' records lie in record_batches_default.
    await seed(pool, randomBatches(random, 40, { ...span, spanSeconds: dayMs / 1000 }));
    await sql`delete from record_batches where batch_id in (select id from batches where id % 4 <> 0)`.execute(
      db,
    );
    await ensurePartitions(db, { now: new Date(firstDayMs + 6 * dayMs), daysBack: 5, daysAhead: 0 });
    await seed(
      pool,
      randomBatches(random, 700, { ...span, startMicros: span.startMicros + BigInt(dayMs) * 1000n }),
    );
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
        const request = { order, pageSize, walkedRecordsMax: upTo(300) };
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
