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
import { createDeviceKeys } from "./find-devices.ts";
import { findLogs } from "./find-logs.ts";
import { everything } from "./log-filter.ts";
import { comparePositions, type LogPosition, newestFirst, oldestFirst } from "./log-order.ts";

const second = 1_000_000n;
const start = 1_700_000_000n * second;

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

describe("over overlapping batches of devices with odd clocks", () => {
  const random = seededRandom(7);
  const upTo = (limit: number) => Math.floor(random() * limit);

  before(() => seed(pool, randomBatches(random, 600, { startMicros: start })));

  test("pages of any size, from any position of any filter, equal ORDER BY over everything", async () => {
    for (let round = 0; round < 200; round++) {
      const filter = randomFilter(random, { startMicros: start });
      const order = random() < 0.5 ? newestFirst : oldestFirst;
      const all = await bruteForce(pool, filter, order);
      const pageSize = 1 + upTo(random() < 0.5 ? 20 : 400);
      const begin = random() < 0.5 ? 0 : upTo(all.length);
      const found: LogPosition[] = [];
      let after = begin === 0 ? undefined : parsePosition(all[begin - 1] as string);
      for (let pages = 0; pages < 8; pages++) {
        const page = await findLogs(db, filter, { order, after, pageSize });
        found.push(...page.logs);
        if (page.next === undefined) break;
        after = page.next;
      }
      const expected = all.slice(begin, begin + pageSize * 8);
      assert.deepEqual(
        found.map(formatPosition),
        expected,
        JSON.stringify({ round, pageSize, order: order.direction, ...described(filter) }),
      );
    }
  });

  test("pages that end early together are complete, and each makes progress", async () => {
    for (let round = 0; round < 20; round++) {
      const filter = randomFilter(random, { startMicros: start });
      const order = random() < 0.5 ? newestFirst : oldestFirst;
      const found: LogPosition[] = [];
      let pages = 0;
      for (let after: LogPosition | undefined; ; pages++) {
        const page = await findLogs(db, filter, { order, after, pageSize: 1 + upTo(200), patienceMs: 0 });
        found.push(...page.logs);
        if (page.next === undefined) break;
        assert.ok(after === undefined || comparePositions(order)(after, page.next) < 0);
        after = page.next;
      }
      const all = await bruteForce(pool, filter, order);
      assert.deepEqual(found.map(formatPosition), all, JSON.stringify({ round, ...described(filter) }));
      assert.ok(pages >= Math.floor(all.length / 200));
    }
  });

  for (const order of [newestFirst, oldestFirst]) {
    test(`pages neither skip nor repeat a row while others arrive, ${order.direction}`, async () => {
      const known = await bruteForce(pool, everything);
      const found: LogPosition[] = [];
      for (;;) {
        const [page] = await Promise.all([
          findLogs(db, everything, { order, after: found.at(-1), pageSize: 150 }),
          seed(pool, randomBatches(random, 3, { startMicros: start })),
        ]);
        found.push(...page.logs);
        if (page.next === undefined) break;
      }
      const places = found.map(formatPosition);
      assert.equal(new Set(places).size, places.length);
      assert.deepEqual(
        known.filter((place) => !places.includes(place)),
        [],
      );
    });
  }
});

test("pages of large records are short, and no record is lost", async () => {
  const large = { message: "x".repeat(64_000), attributes: { key: "y".repeat(8000) } };
  for (let batch = 0; batch < 20; batch++) {
    const at = start + BigInt(batch) * second;
    const records = Array.from({ length: 10 }, (_, n) => ({ timeMicros: at + BigInt(n) * second, ...large }));
    await seed(pool, [{ deviceId: "large", receivedMicros: at, records }]);
  }
  const filter = { ...everything, deviceIds: ["large"] };
  const lengths: number[] = [];
  const found: LogPosition[] = [];
  for (;;) {
    const page = await findLogs(db, filter, { order: newestFirst, after: found.at(-1), pageSize: 150 });
    found.push(...page.logs);
    lengths.push(page.logs.length);
    if (page.next === undefined) break;
  }
  assert.deepEqual(lengths, [59, 59, 59, 23], "4 MiB of 72 KB each");
  assert.deepEqual(found.map(formatPosition), await bruteForce(pool, filter));
});

test("large records of one batch come in several pages too", async () => {
  const records = Array.from({ length: 100 }, (_, n) => ({
    timeMicros: start + BigInt(n),
    message: "x".repeat(64_000),
  }));
  await seed(pool, [{ deviceId: "one-batch", receivedMicros: start, records }]);
  const filter = { ...everything, deviceIds: ["one-batch"] };
  const request = { order: oldestFirst, pageSize: 1000 };
  const first = await findLogs(db, filter, { ...request, after: undefined });
  const second = await findLogs(db, filter, { ...request, after: first.next });
  assert.deepEqual([first.logs.length, second.logs.length, second.next], [66, 34, undefined]);
});

test("an attribute with any characters is found", async () => {
  const odd = [`"`, "\\", "{}", "__proto__", "\u0001\n", "ärger", "😀", " ", "null", "'"];
  const records = odd.map((text, n) => ({
    timeMicros: start + BigInt(n),
    attributes: Object.fromEntries([[text, text]]),
  }));
  await seed(pool, [{ deviceId: "odd", receivedMicros: start, records }]);
  const request = { order: oldestFirst, after: undefined, pageSize: 100 };
  for (const [index, value] of odd.entries()) {
    const filter = { ...everything, deviceIds: ["odd"], attributes: [{ name: value, value }] };
    const { logs } = await findLogs(db, filter, request);
    assert.deepEqual([logs.length, logs[0]?.index], [1, index], value);
  }
});

test("a cached key of another device returns nothing of that device", async () => {
  const records = [{ timeMicros: start }];
  await seed(pool, [
    { deviceId: "mine", receivedMicros: start, records },
    { deviceId: "yours", receivedMicros: start, records },
  ]);
  const { rows } = await pool.query<{ key: number }>("select key from devices where device_id = 'yours'");
  const deviceKeys = createDeviceKeys();
  const request = { order: newestFirst, after: undefined, pageSize: 100, deviceKeys };
  const ofMine = async () => (await findLogs(db, { ...everything, deviceIds: ["mine"] }, request)).logs;
  assert.deepEqual(
    (await ofMine()).map(({ batch }) => batch.device_id),
    ["mine"],
  );
  deviceKeys.set("mine", rows[0]!.key);
  assert.deepEqual(await ofMine(), []);
});
