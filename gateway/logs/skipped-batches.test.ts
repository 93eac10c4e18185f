import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Pool } from "pg";
import { seededRandom } from "#batch/testing/random.ts";
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
import { summarize } from "../testing/summarize.ts";
import { walkBatches } from "./batch-walk.ts";
import { findLogs } from "./find-logs.ts";
import { everything, type LogFilter } from "./log-filter.ts";
import { type LogPosition, newestFirst, oldestFirst } from "./log-order.ts";
import type { IdRange } from "./select-batches.ts";
import { findRuledOut, searchTermsFor } from "./skipped-batches.ts";

const dayMs = 86_400_000;
const startMicros = BigInt(Date.UTC(2023, 10, 14)) * 1000n;
const span = { startMicros, spanSeconds: (3 * dayMs) / 1000 };
const random = seededRandom(31);
const upTo = (limit: number) => Math.floor(random() * limit);

let database: TestDatabase;
let pool: Pool;
let db: ReadDatabase;

/** Three days of arrival. The first has no summaries, the second has some from noon on, the third has all. */
before(async () => {
  database = await createDatabase();
  pool = openPool(database.url);
  db = await openReadDatabase(database.url);
  await seed(pool, randomBatches(random, 700, span));
  const ms = Number(startMicros / 1000n);
  const busy = { startMicros: startMicros + BigInt(2.5 * dayMs) * 1000n, spanSeconds: 1800 };
  await seed(pool, randomBatches(random, 200, busy));
  await pool.query(
    `update record_batches set messages[1] = 'of its own: ' || md5(batch_id::text)
     where batch_id >= $1::bigint << 20 and batch_id < $2::bigint << 20 and batch_id % 7 = 0`,
    [ms + 2.5 * dayMs, ms + 2.5 * dayMs + 1_800_000],
  );
  // By two consumers, whose summaries overlap.
  for (const rest of [0, 1]) {
    await summarize(pool, `batch_id >= ${ms + 1.5 * dayMs}::bigint << 20 and batch_id % 2 = ${rest}`);
  }
  await pool.query("analyze");
});
after(async () => {
  await db.destroy();
  await pool.end();
  await database[Symbol.asyncDispose]();
});

describe("over days with and without search summaries", () => {
  for (const order of [newestFirst, oldestFirst]) {
    test(`pages equal ORDER BY over everything, ${order.direction}`, async () => {
      for (let round = 0; round < 80; round++) {
        const filter = { ...randomFilter(random, span), ...randomTerms() };
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

  test("a walk reads no batch that a summary rules out, and every one without a summary", async () => {
    const { rows } = await pool.query<{ id: string }>(
      "select id from batches where id < (select min(first_id) from search_summaries)",
    );
    const withoutSummary = rows.map(({ id }) => id).sort();
    for (const filter of [
      { ...everything, texts: ["brownout"] },
      { ...everything, attributes: [{ name: "unit", value: "u7" }] },
      { ...everything, loggerPrefix: "netz" },
      { ...everything, traceId: "ab".repeat(16) },
    ]) {
      assert.deepEqual((await walkedIds(filter)).sort(), withoutSummary);
    }
  });

  test("of more summaries than are read, none rules out a batch that one of the others may name", async () => {
    let ruledOut = 0;
    for (let round = 0; round < 60; round++) {
      const filter = { ...everything, ...randomTerms() };
      const startMicros = random() < 0.5 ? span.startMicros + BigInt(upTo(4 * dayMs)) * 1000n : undefined;
      const summariesMax = random() < 0.5 ? 1 + upTo(20) : 10_000;
      const { ids, but } = await findRuledOut(
        db,
        { ...filter, startMicros },
        searchTermsFor(filter),
        summariesMax,
      );
      for (const place of await bruteForce(pool, filter)) {
        const { batchId } = parsePosition(place);
        assert.ok(!isIn(ids, batchId) || isIn(but, batchId), JSON.stringify({ summariesMax, place, round }));
      }
      ruledOut += ids.length;
    }
    assert.ok(ruledOut > 0);
  });

  test("a summary that is not read may reach into one that is, which then rules out none of its batches", async () => {
    const { rows } = await pool.query<{ id: string; word: string }>(
      "select batch_id as id, substr(message, 13) as word from records where message like 'of its own: %' order by 1",
    );
    // Bounds with which the oldest summary that is read is of the busy half hour.
    const { rows: counts } = await pool.query<{ count: number }>(
      `select count from (
        select first_id, (row_number() over (order by first_id desc))::int as count from search_summaries where slice = 0
      ) as numbered where first_id between $1 and $2`,
      [rows[0]?.id, rows.at(-1)?.id],
    );
    let ruledOut = 0;
    for (const { id, word } of rows) {
      const terms = searchTermsFor({ ...everything, texts: [word] });
      const isKept = async (endMicros?: bigint, count?: number) => {
        const { ids, but } = await findRuledOut(db, { ...everything, endMicros }, terms, count);
        assert.ok(!isIn(ids, BigInt(id)) || isIn(but, BigInt(id)), JSON.stringify({ id, count }));
        ruledOut += ids.length;
      };
      for (const { count } of counts) await isKept(undefined, count);
      // Batches that arrived later than a day after their records.
      for (const last of rows) await isKept(((BigInt(last.id) >> 20n) - BigInt(dayMs)) * 1000n);
    }
    assert.ok(rows.length > 10);
    assert.ok(ruledOut > 0);
  });

  test("a summary that lacks a slice rules out nothing, and one without its segments none of its batches", async () => {
    const filter = { ...everything, texts: ["brownout"] };
    const all = (await pool.query("select from batches")).rowCount;
    await pool.query("create table kept as select * from search_summaries");
    for (const slices of ["slice = 0", "slice > 0"]) {
      await pool.query(`delete from search_summaries where ${slices}`);
      assert.equal((await walkedIds(filter)).length, all, slices);
      await pool.query("delete from search_summaries");
      await pool.query("insert into search_summaries select * from kept");
    }
  });
});

/** Texts, attributes, a logger or a trace, that many records have or none. */
function randomTerms(): Partial<LogFilter> {
  const attributes = [
    { name: "unit", value: ["u0", "u1", "u4", "7", "7.0", "70e-1", "true"][upTo(7)] },
    { name: "firmware", value: ["2.1", "21e-1", "2.2", undefined][upTo(4)] },
    { name: "a=b", value: "\\" },
  ].filter(() => random() < 0.5);
  const texts = [["DISK", "100%", "ÄRGER", "ärger am", "nothing", "k_A"][upTo(6)] as string];
  return [
    { texts },
    { attributes },
    { texts, attributes },
    { loggerPrefix: ["net.", "disk", "w"][upTo(3)]! },
  ][upTo(4)]!;
}

function isIn(ranges: readonly IdRange[], id: bigint): boolean {
  return ranges.some(({ firstId, endId }) => firstId <= id && id < endId);
}

async function walkedIds(filter: LogFilter): Promise<string[]> {
  const walk = { filter, order: newestFirst, edgeMicros: undefined, recordsWanted: () => 10_000 };
  const ids: string[] = [];
  for await (const { batches } of walkBatches(db, walk)) ids.push(...batches.map(({ id }) => id));
  assert.equal(new Set(ids).size, ids.length, "each once");
  return ids;
}
