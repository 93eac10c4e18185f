import assert from "node:assert/strict";
import { test } from "node:test";
import { type CompiledQuery, Kysely, PostgresDialect } from "kysely";
import type { Pool } from "pg";
import type { Database } from "#postgres/tables.ts";
import { createDatabase } from "#test/support/postgres.ts";
import { openPool } from "../testing/open-pool.ts";
import type { SessionPosition } from "./device-sessions.ts";
import { readDevice } from "./read-device.ts";

const sessionsMax = 100;

test("a page of a device with 200,000 sessions costs as much as one of a device with 200", async () => {
  await using database = await createDatabase();
  const pool = openPool(database.url);
  const seen: CompiledQuery[] = [];
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    log: ({ query }) => {
      seen.push(query);
    },
  });
  try {
    await fill(pool, "small", 200);
    await fill(pool, "large", 200_000);
    await pool.query("vacuum analyze");
    const measureCost = async (deviceId: string, after: SessionPosition | undefined) => {
      seen.length = 0;
      const found = await readDevice(db, deviceId, { after, sessionsMax });
      assert.equal(found?.sessions.length, sessionsMax);
      const { session_id, first_received_micros } = found.last ?? assert.fail("there are more");
      const last = { sessionId: session_id, firstReceivedMicros: BigInt(first_received_micros) };
      return { last, sessionCount: found.sessionCount, ...(await measure(pool, seen)) };
    };
    const small = await measureCost("small", undefined);
    const first = await measureCost("large", undefined);
    const second = await measureCost("large", first.last);
    assert.deepEqual([small.sessionCount, first.sessionCount], [200, 1000]);
    for (const { rows, buffers } of [first, second]) {
      // The count of sessions goes to 1,000, and the paths down the trees are slightly longer.
      assert.ok(rows <= small.rows + 2 * 1000, `${rows} rows, of the small one ${small.rows}`);
      assert.ok(buffers <= 2 * small.buffers + 100, `${buffers} buffers, of the small one ${small.buffers}`);
    }
  } finally {
    await db.destroy();
  }
});

/** Sessions a minute apart, each of one batch and one declaration of drops. */
async function fill(pool: Pool, deviceId: string, sessions: number): Promise<void> {
  await pool.query(
    `with device as (
      insert into devices (device_id, first_seen, last_seen) values ($1, now(), now()) returning key
    ), numbered as (
      select key, n, 's' || n as session_id, timestamptz '2026-01-01' + n * interval '1 minute' as at
      from device, generate_series(1, $2::int) n
    ), of_batches as (
      insert into batches (id, received_at, first_time, last_time, sequence, device_key, record_count,
        rejected_count, severities, bytes, session_id, digest)
      select next_batch_id(at), at, at, at, 1, key, 1, 0, 512, 100, session_id, sha256(session_id::bytea) from numbered
    ), of_drops as (
      insert into drops (batch_id, device_key, session_id, first_sequence, last_sequence, reason, received_at)
      select next_batch_id(at), key, session_id, 2, 9, 'memory was full', at from numbered
    )
    insert into sessions (device_key, session_id, received, dropped, first_received_at, last_received_at,
      batch_count, record_count)
    select key, session_id, '{[1,2)}', '{[2,10)}', at, at, 2, 1 from numbered`,
    [deviceId, sessions],
  );
}

interface Plan {
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly Plans?: readonly Plan[];
}

/** The rows of all steps of the statements' plans, and their buffers. */
async function measure(pool: Pool, statements: readonly CompiledQuery[]) {
  let [rows, buffers] = [0, 0];
  const countRows = (plan: Plan): number =>
    plan["Actual Rows"] * plan["Actual Loops"] +
    (plan.Plans ?? []).reduce((sum, part) => sum + countRows(part), 0);
  for (const { sql, parameters } of statements.slice()) {
    const { rows: found } = await pool.query<{ "QUERY PLAN": { Plan: Plan }[] }>(
      `explain (analyze, buffers, format json) ${sql}`,
      [...parameters],
    );
    const [{ Plan: plan } = assert.fail("no plan")] = found[0]?.["QUERY PLAN"] ?? [];
    rows += countRows(plan);
    buffers += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
  }
  return { rows, buffers };
}
