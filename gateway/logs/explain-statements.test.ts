import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Redis } from "ioredis";
import { CompiledQuery, type LogEvent } from "kysely";
import { startRedis, type TestRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { openPool } from "../testing/open-pool.ts";
import { listLogsPath, startWithTwoHosts } from "../testing/two-hosts.ts";
import { explainStatements } from "./explain-statements.ts";

interface Explained {
  readonly sql: string;
  readonly parameters: readonly string[];
  readonly durationMs: number;
  readonly plan: readonly string[];
}

let redisServer: TestRedis;
let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  redisServer = await startRedis();
  gateway = await startWithTwoHosts({ redisUrl: redisServer.url, queryTimeoutMs: 10_000 });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await redisServer[Symbol.asyncDispose]();
});

const closed = "start_time=2026-01-01T00:00:00Z&end_time=2026-01-01T01:00:00Z";

test("with explain a page describes its statements, and has the same records", async () => {
  const plain = await gateway.get(`/v1/logs?${closed}&device_id=host-1`);
  assert.equal("explanation" in plain.body, false);
  const { body } = await gateway.get(`/v1/logs?${closed}&device_id=host-1&explain=true`);
  const { statements, statementCount } = body["explanation"] as {
    statements: readonly Explained[];
    statementCount: number;
  };
  assert.deepEqual({ ...body, explanation: undefined }, { ...plain.body, explanation: undefined });
  assert.equal(body.logs.length, 3);
  assert.equal(statements.length, statementCount);
  assert.match(statements[0]?.sql ?? "", /from "devices"/);
  assert.deepEqual(statements[0]?.parameters, ['"host-1"']);
  assert.match(statements.at(-1)?.sql ?? "", /from record_batches/);
  for (const { plan, durationMs } of statements) {
    assert.ok(durationMs > 0);
    assert.match(plan[0] ?? "", /actual time=/);
    assert.match(plan.at(-1) ?? "", /^Execution Time: /);
    assert.doesNotMatch(plan.join("\n"), /Buffers:/);
  }
});

test("the token of an explained page continues with or without explain", async () => {
  const { body } = await gateway.get(`/v1/logs?${closed}&page_size=3&explain=true`);
  const next = await gateway.get(`/v1/logs?${closed}&page_size=3&page_token=${body.nextPageToken}`);
  assert.deepEqual([body.logs.length, next.body.logs.length], [3, 1]);
});

test("an explanation is never cached", async () => {
  const range = { startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-01T01:00:00Z" };
  const redis = new Redis(redisServer.url);
  const before = (await redis.keys("*")).toSorted();
  for (let round = 0; round < 2; round += 1) {
    for (const { headers, body } of [
      await gateway.get(`/v1/logs?${closed}&text=up&explain=true`),
      await gateway.post(listLogsPath, { ...range, filter: { text: "up" }, explain: true }),
    ]) {
      assert.equal(headers.get("cache-control"), "no-store");
      assert.deepEqual([headers.get("x-cache"), headers.get("etag")], [null, null]);
      assert.ok("explanation" in body);
    }
  }
  assert.deepEqual((await redis.keys("*")).toSorted(), before);
  redis.disconnect();
});

function event(sql: string, ...parameters: unknown[]): LogEvent {
  return { level: "query", query: CompiledQuery.raw(sql, parameters), queryDurationMillis: 1 };
}

async function explain(statements: readonly LogEvent[]) {
  const { signal } = new AbortController();
  return await gateway.readPool.read("test", { client: "test", signal }, (db) =>
    explainStatements(db, statements, 10_000),
  );
}

test("an explanation is bounded, for any number and length of statements", async () => {
  const many = await explain(Array.from({ length: 25 }, (_, number) => event(`select ${number}`)));
  assert.deepEqual([many.statements?.length, many.statementCount], [20, 25]);

  const long = event(
    `select $1::text, $2::int8[], $3::int8 /* ${"x".repeat(9000)} */ where $1 <> 'a'`,
    "😀".repeat(200),
    Array.from({ length: 5000 }, () => 2n ** 62n),
    null,
  );
  const { statements = [] } = await explain([long]);
  assert.equal(statements[0]?.sql?.length, 8193);
  assert.deepEqual(
    statements[0]?.parameters?.map((text) => [text.length, text.isWellFormed()]),
    [
      [201, true],
      [201, true],
      [4, true],
    ],
  );
  const union = Array.from({ length: 300 }, (_, number) => `select ${number} where random() < 2`);
  const filter = `select 1 from devices where device_id <> '${"y".repeat(9000)}'`;
  const plans = await explain([event(union.join(" union all ")), event(filter)]);
  assert.equal(plans.statements?.[0]?.plan?.length, 200);
  assert.ok(plans.statements?.[1]?.plan?.some((line) => line.length === 501));

  const large = Array.from(
    { length: 300 },
    () => `select 1 from devices where device_id <> '${"y".repeat(600)}'`,
  );
  const cut = await explain(Array.from({ length: 10 }, () => event(large.join(" union all "))));
  assert.equal(cut.statementCount, 10);
  assert.ok((cut.statements?.length ?? 0) >= 1 && (cut.statements?.length ?? 10) < 10);
});

test("explain ends with the query timeout", async () => {
  await using hasty = await startWithTwoHosts({ queryTimeoutMs: 200 });
  const { signal } = new AbortController();
  const asleep = hasty.readPool.read("test", { client: "test", signal }, (db) =>
    explainStatements(db, [event("select pg_sleep(60)")], 10_000),
  );
  await assert.rejects(asleep, ({ name, code }: Error & { code?: string }) => {
    return name === "QueryTimeoutError" || code === "57014";
  });
});

test("a query that timed out is explained all the same, without running again", async () => {
  await using hasty = await startWithTwoHosts({ queryTimeoutMs: 1000 });
  const pool = openPool(hasty.databaseUrl);
  const locker = await pool.connect();
  await locker.query("begin; lock table batches in access exclusive mode");
  const answer = hasty.get("/v1/logs?text=up&explain=true");
  await waitFor("the query to end and its explanation to begin", async () => {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity
       where datname = current_database() and query like 'explain %' and wait_event_type = 'Lock'`,
    );
    return rowCount === 1;
  });
  await locker.query("rollback");
  locker.release();
  await pool.end();
  const { body } = await answer;
  assert.deepEqual(body.logs, []);
  const { statements } = body["explanation"] as { statements: readonly Explained[] };
  assert.equal(statements.length, 1);
  assert.match(statements[0]?.sql ?? "", /from batches/);
  assert.match(statements[0]?.plan[0] ?? "", /cost=/);
  assert.doesNotMatch(statements[0]?.plan.join() ?? "", /actual time=/);
  const next = await hasty.get(`/v1/logs?text=up&page_token=${body.nextPageToken}`);
  assert.equal(next.body.logs.length, 1, "the token continues where it began");
});
