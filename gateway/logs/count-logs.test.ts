import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Pool } from "pg";
import { seededRandom } from "#batch/testing/random.ts";
import { storeRecords } from "#postgres/testing/store-records.ts";
import { CountMethod } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import { openPool } from "../testing/open-pool.ts";
import { openReadDatabase } from "../testing/open-read-database.ts";
import { seed } from "../testing/seed.ts";
import { summarize } from "../testing/summarize.ts";
import { bucketWidth } from "./bucket-width.ts";
import { countLogs, type RangeFilter } from "./count-logs.ts";
import { everything, severitiesFrom } from "./log-filter.ts";

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

test("counts by any width, range and filter equal those of one statement over everything", async () => {
  const random = seededRandom(11);
  const upTo = (limit: number) => Math.floor(random() * limit);
  await seed(
    pool,
    Array.from({ length: 200 }, () => {
      const begin = start + BigInt(upTo(3000)) * second;
      const span = random() < 0.1 ? 40_000 : 30;
      return {
        deviceId: `device-${upTo(4)}`,
        receivedMicros: begin,
        records: Array.from({ length: 1 + upTo(10) }, () => ({
          timeMicros: begin + BigInt(upTo(span * 1000)) * 1000n,
          severity: upTo(25),
          message: ["Disk full", "ok"][upTo(2)] as string,
        })),
      };
    }),
  );
  const methods = new Set<CountMethod>();
  for (let round = 0; round < 60; round++) {
    const startMicros = start + BigInt(upTo(3000) * 1000) * 1000n;
    const filter: RangeFilter = {
      ...everything,
      startMicros,
      endMicros: startMicros + BigInt(upTo(5000)) * second,
      severities: random() < 0.5 ? everything.severities : severitiesFrom(upTo(25)),
      deviceIds: random() < 0.7 ? [] : [`device-${upTo(5)}`, `device-${upTo(5)}`],
      excludedDeviceIds: random() < 0.8 ? [] : ["device-2"],
      texts: random() < 0.7 ? [] : ["disk"],
    };
    const width = bucketWidth(filter, 1 + upTo(200));
    const { counts, method, sampleDivisor } = await countLogs(db, filter, width);
    methods.add(method);
    assert.equal(sampleDivisor, 1);
    const { rows } = await pool.query<{ line: string }>(
      `select format('%s %s %s', floor(extract(epoch from time) / $1) * $1, severity, count(*)) as line
       from logs where extract(epoch from time) * 1000000 >= $2 and extract(epoch from time) * 1000000 < $3
         and (1 << severity) & $4 <> 0 and ($5::text[] = '{}' or device_id = any($5))
         and device_id <> all($6) and message ilike '%' || $7 || '%'
       group by floor(extract(epoch from time) / $1) * $1, severity
       order by floor(extract(epoch from time) / $1) * $1, severity`,
      [
        Number(width / second),
        String(filter.startMicros),
        String(filter.endMicros),
        filter.severities,
        filter.deviceIds,
        filter.excludedDeviceIds,
        filter.texts[0] ?? "",
      ],
    );
    assert.deepEqual(
      counts.map((one) => `${one.startMicros / second} ${one.severity} ${one.count}`),
      rows.map(({ line }) => line),
      `round ${round}`,
    );
  }
  assert.deepEqual(methods, new Set([CountMethod.COUNTED, CountMethod.STATISTICS]));
});

describe("of 1.1 M records", () => {
  const startMicros = BigInt(Date.parse("2026-03-01T00:00:00Z")) * 1000n;
  const range = { startMicros, endMicros: startMicros + 86_400n * second };
  const filter = { ...everything, ...range, deviceIds: ["many"] };

  before(() =>
    pool.query(`
      with device as (
        insert into devices (device_id, first_seen, last_seen) values ('many', now(), now()) returning key
      ), batch as (
        insert into batches (id, received_at, first_time, last_time, sequence, device_key, record_count,
          rejected_count, severities, bytes, session_id, digest)
        select next_batch_id(at), at, at, at, n, key, 100, 0, 512, 0, 's', ''
        from device, generate_series(1, 11000) n, lateral (select timestamptz '2026-03-01' + n * interval '1 s' as at)
        returning id, first_time, sequence
      )
      ${storeRecords(`
        select id, n, first_time, 9, '', case when sequence = 7 and n < 5 then 'a needle' else 'hay' end
        from batch, generate_series(0, 99) n`)}`),
  );

  test("a sample estimates the counts within a few percent", async () => {
    const { counts, method, sampleDivisor, recordsRead } = await countLogs(
      db,
      filter,
      86_400n * second,
      1_000_000,
    );
    assert.deepEqual([method, sampleDivisor], [CountMethod.ESTIMATED, 2]);
    assert.ok(recordsRead > 500_000 && recordsRead < 600_000, String(recordsRead));
    const sum = counts.reduce((total, { count }) => total + count, 0n);
    assert.ok(sum > 1_050_000n && sum < 1_150_000n, String(sum));
  });

  test("all are counted, as they are not too many to read", async () => {
    assert.deepEqual(await countLogs(db, filter, 86_400n * second), {
      counts: [{ startMicros, severity: 9, count: 1_100_000n }],
      method: CountMethod.COUNTED,
      sampleDivisor: 1,
      recordsRead: 1_100_000,
    });
  });

  test("those that summaries leave are counted exactly, however many there are", async () => {
    await summarize(pool, "true");
    const needles = { ...everything, ...range, texts: ["needle"] };
    const { recordsRead, ...count } = await countLogs(db, needles, 86_400n * second, 200_000);
    assert.deepEqual(count, {
      counts: [{ startMicros, severity: 9, count: 5n }],
      method: CountMethod.COUNTED,
      sampleDivisor: 1,
    });
    assert.ok(recordsRead < 50_000, String(recordsRead));
  });
});

test("chooses the smallest round width within the limit of buckets", () => {
  const widths = [
    [10n, 100, 1n],
    [100n, 100, 1n],
    [101n, 100, 2n],
    [3600n, 100, 60n],
    [86_400n, 100, 900n],
    [86_400n * 10n, 100, 10_800n],
    [86_400n * 365n, 100, 4n * 86_400n],
    [86_400n * 365n, 1, 366n * 86_400n],
  ] as const;
  for (const [range, buckets, wanted] of widths) {
    const startMicros = 1_767_225_600n * second;
    const width = bucketWidth({ startMicros, endMicros: startMicros + range * second }, buckets);
    assert.ok(
      width <= 86_400n * second ? width === wanted * second : width >= wanted * second - 86_400n * second,
      `${range} ${buckets}: ${width}`,
    );
  }
});
