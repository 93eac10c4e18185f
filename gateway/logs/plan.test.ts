import assert from "node:assert/strict";
import { test } from "node:test";
import type { CompiledQuery } from "kysely";
import type { Pool, PoolClient } from "pg";
import { storeRecords } from "#postgres/testing/store-records.ts";
import { createDatabase } from "#test/support/postgres.ts";
import { openPool } from "../testing/open-pool.ts";
import { openReadDatabase } from "../testing/open-read-database.ts";
import { walkBatches } from "./batch-walk.ts";
import { createDeviceKeys } from "./find-devices.ts";
import { findLogs } from "./find-logs.ts";
import { everything } from "./log-filter.ts";
import { newestFirst } from "./log-order.ts";

const minute = 60_000_000n;

test("the last 100 records of a device are read from a few index entries, not from the whole table", async () => {
  await using database = await createDatabase();
  const pool = openPool(database.url);
  const seen: CompiledQuery[] = [];
  const db = await openReadDatabase(database.url, (event) => seen.push(event.query));
  try {
    const newestMicros = await fill(pool);
    const filter = { ...everything, deviceIds: ["device-7"] };
    const deviceKeys = createDeviceKeys();
    const request = { order: newestFirst, pageSize: 100, deviceKeys };
    assert.equal((await findLogs(db, filter, { ...request, after: undefined })).logs.length, 100);
    assert.equal(seen.length, 3, "one statement for the device, one for its batches, one for their records");
    await assertCheap(pool, seen, "batches_of_device", 200);

    seen.length = 0;
    const after = { timeMicros: newestMicros - 500n * minute, batchId: 0n, index: 0 };
    assert.equal((await findLogs(db, filter, { ...request, after })).logs.length, 100);
    assert.equal(
      seen.length,
      2,
      "no more in the middle, where batches lie across the edge; the device is known",
    );
    await assertCheap(pool, seen, "batches_of_device", 600);

    seen.length = 0;
    const walk = { filter: everything, order: newestFirst, edgeMicros: undefined, recordsWanted: () => 100 };
    for await (const _ of walkBatches(db, walk)) break;
    await assertCheap(pool, seen, "batches_by_time", 200);
  } finally {
    await db.destroy();
    await pool.end();
  }
});

/**
 * 2,000 batches of 100 records: the oldest 1,050 are of device-7, which is silent now; nineteen others have 50
 * each. Returns the newest time of device-7.
 */
async function fill(pool: Pool): Promise<bigint> {
  await pool.query(`
    insert into devices (device_id, first_seen, last_seen)
    select 'device-' || number, now(), now() from generate_series(0, 19) number`);
  await pool.query(`
    insert into batches (id, received_at, first_time, last_time, sequence, device_key, record_count, rejected_count,
      severities, bytes, session_id, digest)
    select next_batch_id(at), at, at - interval '59 seconds', at, n, devices.key, 100, 0, 512, 0, 's', ''
    from devices, generate_series(1, 1100) n, lateral (select timestamptz '2026-03-01' + n * interval '1 minute' as at)
    where (n > 1050) = (device_id <> 'device-7')
    order by at`);
  await pool.query(
    storeRecords(`
      select id, n, first_time + n * interval '0.59 seconds', 9, '', 'message ' || n
      from batches, generate_series(0, 99) n`),
  );
  await pool.query("analyze");
  const { rows } = await pool.query<{ micros: string }>(
    "select (extract(epoch from max(last_time)) * 1000000)::int8 as micros from batches where device_key = 8",
  );
  return BigInt(rows[0]?.micros ?? 0);
}

interface PlanNode {
  readonly "Node Type": string;
  readonly "Index Name"?: string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly PlanNode[];
}

/**
 * Runs the statements again under EXPLAIN, planned for their values and for any values, as prepared ones are sooner or later:
 * no sequential scan, except of the small table of devices and of catalogs.
 */
async function assertCheap(
  pool: Pool,
  statements: readonly CompiledQuery[],
  index: string,
  rowsMax: number,
): Promise<void> {
  for (const mode of ["force_custom_plan", "force_generic_plan"]) {
    const client = await pool.connect();
    await using _ = { [Symbol.asyncDispose]: async () => client.release(true) };
    await client.query(`set plan_cache_mode = ${mode}`);
    const indexes = new Set<string>();
    for (const statement of statements) {
      for (const node of await explain(client, statement)) {
        const { "Node Type": type, "Relation Name": relation = "", "Actual Rows": rows } = node;
        const where = `${mode}: ${statement.sql}`;
        if (node["Index Name"] !== undefined) indexes.add(node["Index Name"]);
        if (/^(devices|pg_.*)$/.test(relation)) continue;
        const isWholeTable = type === "Seq Scan";
        assert.ok(!isWholeTable || rows === 0, `${relation} is read whole, ${where}`);
        const touched = (rows + (node["Rows Removed by Filter"] ?? 0)) * node["Actual Loops"];
        assert.ok(touched <= rowsMax, `${type} touches ${touched} rows, ${where}`);
      }
    }
    assert.ok(indexes.has(index), `${mode}: ${[...indexes].join(", ")} and not ${index}`);
  }
}

async function explain(client: PoolClient, { sql, parameters }: CompiledQuery): Promise<PlanNode[]> {
  const values = parameters.map((value) => {
    return client.escapeLiteral(Array.isArray(value) ? `{${value.join()}}` : String(value));
  });
  await client.query(`prepare explained as ${sql}`);
  const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
    `explain (analyze, format json) execute explained ${values.length === 0 ? "" : `(${values.join()})`}`,
  );
  await client.query("deallocate explained");
  return flatten((rows[0] as (typeof rows)[0])["QUERY PLAN"][0].Plan);
}

function flatten(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)];
}
