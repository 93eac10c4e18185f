import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Pool } from "pg";
import { Readiness } from "#lib/readiness.ts";
import { migrateToLatest } from "#postgres/migrate.ts";
import { createDatabase, createEmptyDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { watchDatabase } from "./query/watch-database.ts";
import { openPool } from "./testing/open-pool.ts";
import { startGateway } from "./testing/start-gateway.ts";

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly details: readonly { readonly type: string; readonly debug: unknown }[];
}

async function refusal(response: Response): Promise<Refusal & { status: number }> {
  return { status: response.status, ...((await response.json()) as Refusal) };
}

describe("while a query is blocked", () => {
  let database: TestDatabase;
  let pool: Pool;

  before(async () => {
    database = await createDatabase();
    pool = openPool(database.url);
  });
  after(async () => {
    await pool.end();
    await database[Symbol.asyncDispose]();
  });

  /** Locks the ledger, so that every query of it blocks. */
  async function holdLedger() {
    const client = await pool.connect();
    await client.query("begin");
    await client.query("lock table batches in access exclusive mode");
    return {
      async [Symbol.asyncDispose]() {
        await client.query("rollback");
        client.release();
      },
    };
  }

  /** The running statements of the gateway. */
  async function running(): Promise<number[]> {
    const { rows } = await pool.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and state = 'active'
       and application_name = 'fleetlog-gateway' and query like '%from batches%'`,
    );
    return rows.map((row) => row.pid);
  }

  test("a caller that disconnects cancels the statement", async () => {
    await using gateway = await startGateway(database.url);
    await using _ = await holdLedger();
    const leaving = new AbortController();
    const call = fetch(`${gateway.url}/v1/logs`, { signal: leaving.signal });
    call.catch(() => {});
    await waitFor("the statement to run", async () => (await running()).length === 1);
    leaving.abort();
    await assert.rejects(call);
    await waitFor("the statement to be gone", async () => (await running()).length === 0, 3000);
  });

  test("the query timeout returns DEADLINE_EXCEEDED and suggests how to narrow the query, on both transports", async () => {
    await using gateway = await startGateway(database.url, { queryTimeoutMs: 200 });
    await using _ = await holdLedger();
    const post = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };
    for (const response of [
      await fetch(`${gateway.url}/v1/logs`),
      await fetch(`${gateway.url}/fleetlog.v1.QueryService/ListLogs`, post),
    ]) {
      const { status, code, message } = await refusal(response);
      assert.deepEqual([status, code], [504, "deadline_exceeded"]);
      assert.match(message, /narrow it by device_id, by start_time and end_time/);
    }
    await waitFor("the statements to be gone", async () => (await running()).length === 0, 3000);
  });

  test("the caller's deadline applies too", async () => {
    await using gateway = await startGateway(database.url);
    await using _ = await holdLedger();
    const headers = { "connect-timeout-ms": "100" };
    const { status, code } = await refusal(await fetch(`${gateway.url}/v1/logs`, { headers }));
    assert.deepEqual([status, code], [504, "deadline_exceeded"]);
    await waitFor("the statement to be gone", async () => (await running()).length === 0, 3000);
  });

  test("a full queue refuses calls with a retry delay", async () => {
    await using gateway = await startGateway(database.url, { connectionsMax: 1 });
    const held = await holdLedger();
    const calls = Array.from({ length: 14 }, (_, n) => fetch(`${gateway.url}/v1/logs?page_size=${n + 1}`));
    const first = await refusal(await Promise.race(calls));
    await held[Symbol.asyncDispose]();
    assert.deepEqual([first.status, first.code], [429, "resource_exhausted"]);
    assert.equal(first.details[0]?.type, "google.rpc.RetryInfo");
    const answers = await Promise.all(calls);
    assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200, 429]));
  });

  test("expensive queries queue, cheap ones pass them, and beyond the queue's limit they are refused with a retry delay", async () => {
    await using gateway = await startGateway(database.url, { connectionsMax: 10, heavyQueriesMax: 1 });
    const held = await holdLedger();
    const heavy = Array.from({ length: 22 }, (_, n) => fetch(`${gateway.url}/v1/logs?text=${n}`));
    const first = await refusal(await Promise.race(heavy));
    assert.deepEqual([first.status, first.code], [429, "resource_exhausted"]);
    assert.equal(first.details[0]?.type, "google.rpc.RetryInfo");
    const cheap = fetch(`${gateway.url}/v1/logs`);
    await waitFor("the cheap one beside one expensive", async () => (await running()).length === 2);
    await held[Symbol.asyncDispose]();
    const answers = await Promise.all([...heavy, cheap]);
    const statuses = answers.map((answer) => answer.status).toSorted((a, b) => a - b);
    assert.deepEqual(statuses, [...Array.from({ length: 22 }, () => 200), 429]);
  });

  test("a connection that PostgreSQL terminates is UNAVAILABLE, and the next call works", async () => {
    await using gateway = await startGateway(database.url);
    const held = await holdLedger();
    const call = fetch(`${gateway.url}/v1/logs`);
    const [pid] = await waitFor("the statement to run", async () => {
      const pids = await running();
      return pids.length > 0 && pids;
    });
    await pool.query("select pg_terminate_backend($1)", [pid]);
    const { status, code, details } = await refusal(await call);
    await held[Symbol.asyncDispose]();
    assert.deepEqual([status, code], [503, "unavailable"]);
    assert.equal(details[0]?.type, "google.rpc.RetryInfo");
    assert.equal((await fetch(`${gateway.url}/v1/logs`)).status, 200);
  });
});

test("an unreachable PostgreSQL is UNAVAILABLE", async () => {
  await using gateway = await startGateway("postgres://absent@127.0.0.1:1/nothing");
  const { status, code, message } = await refusal(await fetch(`${gateway.url}/v1/devices`));
  assert.deepEqual([status, code], [503, "unavailable"]);
  assert.match(message, /retry in 1 s/);
});

test("is ready once PostgreSQL responds and the migrations have run", async () => {
  await using database = await createEmptyDatabase();
  await using gateway = await startGateway(database.url);
  const readiness = new Readiness(["database"]);
  const stopping = new AbortController();
  const watching = watchDatabase(gateway.readPool, readiness, stopping.signal);
  await waitFor("the reason", () => readiness.reasons[0] === 'database: relation "records" does not exist');
  await migrateToLatest(database.url);
  await waitFor("to be ready", () => readiness.isReady);
  stopping.abort();
  await watching;
});
