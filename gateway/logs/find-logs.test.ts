import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Kysely } from "kysely";
import type { Pool } from "pg";
import { createDatabase as createKysely } from "#postgres/pool.ts";
import type { Database } from "#postgres/tables.ts";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { openPool } from "../test/open-pool.ts";
import { type SeedBatch, seed, seededRandom } from "../test/seed.ts";
import { findLogs } from "./find-logs.ts";
import { everything, type LogFilter, severityNumbers } from "./log-filter.ts";
import { comparePositions, type LogOrder, type LogPosition, newestFirst, oldestFirst } from "./log-order.ts";

const second = 1_000_000n;
const start = 1_700_000_000n * second;

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

describe("over overlapping batches of devices with odd clocks", () => {
  const random = seededRandom(7);
  const upTo = (limit: number) => Math.floor(random() * limit);

  before(() => seed(pool, randomBatches(600)));

  /** Mostly short batches; some cover an hour or a year, some lie in 1970 or 2100; many equal times. */
  function randomBatches(count: number): SeedBatch[] {
    return Array.from({ length: count }, () => {
      const begin = start + BigInt(upTo(2000)) * second;
      const shape = random();
      const spanSeconds = shape < 0.05 ? 31_000_000 : shape < 0.1 ? 3600 : shape < 0.6 ? 2 : 60;
      const shift = shape > 0.98 ? -start : shape > 0.96 ? 4_000_000_000n * second : 0n;
      return {
        deviceId: `device-${upTo(5)}`,
        sessionId: `s${upTo(2)}`,
        receivedMicros: begin,
        records: Array.from({ length: 1 + upTo(random() < 0.1 ? 60 : 12) }, () => ({
          timeMicros: begin + shift + BigInt(upTo(spanSeconds * 4)) * (second / 4n),
          severity: upTo(25),
          logger: ["net", "net.wifi", "disk", ""][upTo(4)] as string,
          ...(random() < 0.5 && {
            attributes: { unit: `u${upTo(3)}`, ...(random() < 0.5 && { "a=b": "\\" }) },
          }),
          message: ["Disk full", "100% of disk_a", "100 of disk-a", "ÄRGER am c:\\temp", "ok"][
            upTo(5)
          ] as string,
        })),
      };
    });
  }

  function randomFilter(): LogFilter {
    const startMicros = random() < 0.3 ? start + BigInt(upTo(2000)) * second : undefined;
    const endMicros = random() < 0.4 ? (startMicros ?? start) + BigInt(upTo(2000)) * second : undefined;
    const devices = Array.from({ length: random() < 0.5 ? 0 : 1 + upTo(3) }, () => `device-${upTo(6)}`);
    const some = <T>(share: number, ...values: readonly T[]) =>
      random() < share ? [values[upTo(values.length)] as T] : [];
    return {
      deviceIds: devices,
      excludedDeviceIds: some(0.2, "device-1", "nobody"),
      sessionId: devices.length === 1 && random() < 0.3 ? "s1" : undefined,
      severities: random() < 0.5 ? everything.severities : upTo(everything.severities),
      startMicros,
      endMicros,
      texts: [...some(0.3, "DISK", "100%", "k_a", "ärger", "c:\\t", "nothing"), ...some(0.2, "AM", "o")],
      excludedTexts: some(0.2, "full", "ÄR"),
      loggerPrefix: some(0.2, "net", "net.", "x")[0] ?? "",
      excludedLoggerPrefixes: some(0.2, "disk", "net.w"),
      attributes: some(0.2, { name: "unit", value: undefined }, { name: "a=b", value: "\\" }),
      excludedAttributes: some(0.2, { name: "unit", value: "u1" }, { name: "a=b", value: undefined }),
    };
  }

  test("pages of any size, from any place of any filter, are what ORDER BY over everything gives", async () => {
    for (let round = 0; round < 200; round++) {
      const filter = randomFilter();
      const order = random() < 0.5 ? newestFirst : oldestFirst;
      const all = await bruteForce(filter, order);
      const pageSize = 1 + upTo(random() < 0.5 ? 20 : 400);
      const begin = random() < 0.5 ? 0 : upTo(all.length);
      const found: LogPosition[] = [];
      let after = begin === 0 ? undefined : positionOf(all[begin - 1] as string);
      for (let pages = 0; pages < 8; pages++) {
        const page = await findLogs(db, filter, { order, after, pageSize });
        found.push(...page.logs);
        if (page.next === undefined) break;
        after = page.next;
      }
      const expected = all.slice(begin, begin + pageSize * 8);
      assert.deepEqual(
        found.map(placeOf),
        expected,
        JSON.stringify({ round, pageSize, order: order.direction, ...described(filter) }),
      );
    }
  });

  test("pages that end early together are the same, and each gets further", async () => {
    for (let round = 0; round < 20; round++) {
      const filter = randomFilter();
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
      const all = await bruteForce(filter, order);
      assert.deepEqual(found.map(placeOf), all, JSON.stringify({ round, ...described(filter) }));
      assert.ok(pages >= Math.floor(all.length / 200));
    }
  });

  for (const order of [newestFirst, oldestFirst]) {
    test(`pages neither skip nor repeat a row while others arrive, ${order.direction}`, async () => {
      const known = await bruteForce(everything);
      const found: LogPosition[] = [];
      for (;;) {
        const [page] = await Promise.all([
          findLogs(db, everything, { order, after: found.at(-1), pageSize: 150 }),
          seed(pool, randomBatches(3)),
        ]);
        found.push(...page.logs);
        if (page.next === undefined) break;
      }
      const places = found.map(placeOf);
      assert.equal(new Set(places).size, places.length);
      assert.deepEqual(
        known.filter((place) => !places.includes(place)),
        [],
      );
    });
  }
});

const contains = (text: string) =>
  `position(lower(${text} collate pg_c_utf8) in lower(message collate pg_c_utf8)) > 0`;

/** The places of all that match, by one statement that sorts everything. */
async function bruteForce(filter: LogFilter, order: LogOrder = newestFirst): Promise<string[]> {
  const has = `(records.attributes ->> (wanted ->> 'name')) is not null
    and coalesce(records.attributes ->> (wanted ->> 'name') = wanted ->> 'value', wanted ->> 'value' is null)`;
  const { direction } = order;
  const { rows } = await pool.query<{ place: string }>(
    `select format('%s %s %s', (extract(epoch from time) * 1e6)::int8, batch_id, idx) as place
     from records join batches on batches.id = batch_id join devices on devices.key = device_key
     where ($1::text[] = '{}' or device_id = any($1)) and device_id <> all($2) and severity = any($3)
       and ($4::text is null or session_id = $4)
       and ($5::int8 is null or extract(epoch from time) * 1000000 >= $5)
       and ($6::int8 is null or extract(epoch from time) * 1000000 < $6)
       and (select bool_and(${contains("text")}) from unnest($7::text[]) text) is not false
       and (select bool_or(${contains("text")}) from unnest($8::text[]) text) is not true
       and left(logger, length($9)) = $9
       and not exists (select from unnest($10::text[]) prefix where left(logger, length(prefix)) = prefix)
       and not exists (select from jsonb_array_elements($11) wanted where (${has}) is not true)
       and not exists (select from jsonb_array_elements($12) wanted where (${has}) is true)
     order by time ${direction}, batch_id ${direction}, idx ${direction}`,
    [
      filter.deviceIds,
      filter.excludedDeviceIds,
      severityNumbers(filter.severities),
      filter.sessionId ?? null,
      filter.startMicros ?? null,
      filter.endMicros ?? null,
      filter.texts,
      filter.excludedTexts,
      filter.loggerPrefix,
      filter.excludedLoggerPrefixes,
      JSON.stringify(filter.attributes),
      JSON.stringify(filter.excludedAttributes),
    ],
  );
  return rows.map((row) => row.place);
}

test("pages of large records are short, and none is lost", async () => {
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
  assert.deepEqual(found.map(placeOf), await bruteForce(filter));
});

test("what is large within one batch comes in several pages too", async () => {
  const records = Array.from({ length: 100 }, (_, n) => ({
    timeMicros: start + BigInt(n),
    message: "x".repeat(64_000),
  }));
  await seed(pool, [{ deviceId: "one-batch", receivedMicros: start, records }]);
  const filter = { ...everything, deviceIds: ["one-batch"] };
  const wish = { order: oldestFirst, pageSize: 1000 };
  const first = await findLogs(db, filter, { ...wish, after: undefined });
  const second = await findLogs(db, filter, { ...wish, after: first.next });
  assert.deepEqual([first.logs.length, second.logs.length, second.next], [66, 34, undefined]);
});

function placeOf({ timeMicros, batchId, index }: LogPosition): string {
  return `${timeMicros} ${batchId} ${index}`;
}

function positionOf(place: string): LogPosition {
  const [timeMicros = "", batchId = "", index = ""] = place.split(" ");
  return { timeMicros: BigInt(timeMicros), batchId: BigInt(batchId), index: Number(index) };
}

function described(filter: LogFilter) {
  return { ...filter, startMicros: String(filter.startMicros), endMicros: String(filter.endMicros) };
}
