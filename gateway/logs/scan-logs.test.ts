import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Pool } from "pg";
import { storeRecords } from "#postgres/testing/store-records.ts";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import { openPool } from "../testing/open-pool.ts";
import { openReadDatabase } from "../testing/open-read-database.ts";
import { everything } from "./log-filter.ts";
import { type ScanBounds, scanLogs } from "./scan-logs.ts";

let database: TestDatabase;
let pool: Pool;
let db: ReadDatabase;

/** 300,000 records, a batch a second; only the oldest batch has the logger "rare". */
before(async () => {
  database = await createDatabase();
  pool = openPool(database.url);
  await pool.query(`
    with device as (
      insert into devices (device_id, first_seen, last_seen) values ('many', now(), now()) returning key
    ), batch as (
      insert into batches (id, received_at, first_time, last_time, sequence, device_key, record_count,
        rejected_count, severities, bytes, session_id, digest)
      select next_batch_id(at), at, at, at, n, key, 100, 0, 512, 0, 's', ''
      from device, generate_series(1, 3000) n, lateral (select timestamptz '2026-03-01' + n * interval '1 s' as at)
      returning id, first_time, sequence
    )
    ${storeRecords(`
      select id, n, first_time, 9, case when sequence = 1 then 'rare' else 'often' end, 'Message ' || n
      from batch, generate_series(0, 99) n`)}`);
  db = await openReadDatabase(database.url);
});
after(async () => {
  await db.destroy();
  await pool.end();
  await database[Symbol.asyncDispose]();
});

async function scan(conditions: Partial<typeof everything>, bounds: ScanBounds, matchesMax = Infinity) {
  const loggers = new Map<string, number>();
  let matches = 0;
  const filter = { ...everything, ...conditions };
  const scanned = await scanLogs(db, filter, ["loggers"], bounds, (block, places) => {
    matches += places.length;
    for (const place of places) {
      const logger = block.logger(place);
      loggers.set(logger, (loggers.get(logger) ?? 0) + 1);
    }
    return matches < matchesMax;
  });
  return { ...scanned, loggers: Object.fromEntries(loggers) };
}

test("reads every batch that may match, also far behind the newest 50,000 records", async () => {
  assert.deepEqual(await scan({}, {}), {
    recordsRead: 300_000,
    isComplete: true,
    loggers: { often: 299_900, rare: 100 },
  });
  const some = await scan({ texts: ["MESSAGE 7"], loggerPrefix: "ra" }, {});
  assert.deepEqual(some, { recordsRead: 300_000, isComplete: true, loggers: { rare: 11 } });
});

test("ends at a number of records, after some time, or when enough was found, and says so", async () => {
  const few = await scan({}, { recordsMax: 5_000 });
  assert.deepEqual(few, { recordsRead: 5_000, isComplete: false, loggers: { often: 5_000 } });
  const hasty = await scan({}, { patienceMs: 0 });
  assert.equal(hasty.isComplete, false);
  assert.ok(hasty.recordsRead < 300_000, String(hasty.recordsRead));
  const content = await scan({}, {}, 1_000);
  assert.deepEqual([content.isComplete, content.loggers], [false, { often: 1_000 }]);
});

test("a sample is a share of the batches, and always the same", async () => {
  const one = await scan({}, { sampleDivisor: 10 });
  assert.ok(one.recordsRead > 20_000 && one.recordsRead < 40_000, String(one.recordsRead));
  assert.deepEqual(await scan({}, { sampleDivisor: 10 }), one);
});
