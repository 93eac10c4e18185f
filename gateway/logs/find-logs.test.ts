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
import type { LogFilter, LogPosition } from "./log-filter.ts";

const second = 1_000_000n;
const start = 1_700_000_000n * second;
const anything: LogFilter = { minSeverity: 0, text: "" };

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
        receivedMicros: begin,
        records: Array.from({ length: 1 + upTo(random() < 0.1 ? 60 : 12) }, () => ({
          timeMicros: begin + shift + BigInt(upTo(spanSeconds * 4)) * (second / 4n),
          severity: upTo(25),
          message: ["Disk full", "100% of disk_a", "100 of disk-a", "ÄRGER am c:\\temp", "ok"][
            upTo(5)
          ] as string,
        })),
      };
    });
  }

  function randomFilter(): LogFilter {
    const startMicros = random() < 0.3 ? start + BigInt(upTo(2000)) * second : undefined;
    return {
      deviceId: random() < 0.5 ? `device-${upTo(6)}` : undefined,
      minSeverity: random() < 0.4 ? upTo(25) : 0,
      startMicros,
      endMicros: random() < 0.4 ? (startMicros ?? start) + BigInt(upTo(2000)) * second : undefined,
      text: random() < 0.3 ? (["DISK", "100%", "k_a", "ärger", "c:\\t", "nothing"][upTo(6)] as string) : "",
    };
  }

  test("pages of any size, from any place of any filter, are what ORDER BY over everything gives", async () => {
    for (let round = 0; round < 120; round++) {
      const filter = randomFilter();
      const all = await bruteForce(filter);
      const pageSize = 1 + upTo(random() < 0.5 ? 20 : 400);
      const begin = random() < 0.5 ? 0 : upTo(all.length);
      const found: LogPosition[] = [];
      let after = begin === 0 ? undefined : positionOf(all[begin - 1] as string);
      for (let pages = 0; pages < 8; pages++) {
        const page = await findLogs(db, filter, after, pageSize);
        found.push(...page.logs);
        if (!page.hasMore) break;
        after = page.logs.at(-1);
      }
      const expected = all.slice(begin, begin + pageSize * 8);
      assert.deepEqual(
        found.map(placeOf),
        expected,
        JSON.stringify({ round, pageSize, ...described(filter) }),
      );
    }
  });

  test("pages neither skip nor repeat a row while others arrive", async () => {
    const known = await bruteForce(anything);
    const found: LogPosition[] = [];
    for (;;) {
      const [page] = await Promise.all([
        findLogs(db, anything, found.at(-1), 150),
        seed(pool, randomBatches(3)),
      ]);
      found.push(...page.logs);
      if (!page.hasMore) break;
    }
    const places = found.map(placeOf);
    assert.equal(new Set(places).size, places.length);
    assert.deepEqual(
      known.filter((place) => !places.includes(place)),
      [],
    );
  });
});

/** The places of all that match, by one statement that sorts everything. */
async function bruteForce(filter: LogFilter): Promise<string[]> {
  const { rows } = await pool.query<{ place: string }>(
    `select format('%s %s %s', (extract(epoch from time) * 1e6)::int8, batch_id, idx) as place
     from records join batches on batches.id = batch_id join devices on devices.key = device_key
     where ($1::text is null or device_id = $1) and severity >= $2 and position(lower($3 collate pg_c_utf8) in lower(message collate pg_c_utf8)) > 0
       and ($4::int8 is null or extract(epoch from time) * 1000000 >= $4)
       and ($5::int8 is null or extract(epoch from time) * 1000000 < $5)
     order by time desc, batch_id desc, idx desc`,
    [
      filter.deviceId ?? null,
      filter.minSeverity,
      filter.text,
      filter.startMicros ?? null,
      filter.endMicros ?? null,
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
  const filter = { ...anything, deviceId: "large" };
  const lengths: number[] = [];
  const found: LogPosition[] = [];
  for (;;) {
    const page = await findLogs(db, filter, found.at(-1), 150);
    found.push(...page.logs);
    lengths.push(page.logs.length);
    if (!page.hasMore) break;
  }
  assert.deepEqual(lengths, [59, 59, 59, 23], "4 MiB of 72 KB each");
  assert.deepEqual(found.map(placeOf), await bruteForce(filter));
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
