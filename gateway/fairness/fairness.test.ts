import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { type TestContext, test } from "node:test";
import { Pool } from "pg";
import { storeRecords } from "#postgres/testing/store-records.ts";
import { startRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

type Gateway = Awaited<ReturnType<typeof startWithTwoHosts>>;

/** A call as Nginx forwards it for a client; without `rest` it stops after its headers. */
async function call(
  t: TestContext,
  gateway: Gateway,
  client: string,
  path: string,
): Promise<IncomingMessage> {
  const sent = request(gateway.url + path, { agent: false, headers: { "x-forwarded-for": client } }).end();
  t.after(() => sent.destroy());
  sent.on("error", () => {}); // the test ends before the call
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return response;
}

const statuses = async (calls: readonly Promise<IncomingMessage>[]) =>
  (await Promise.all(calls)).map(({ statusCode }) => statusCode);

const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i));

test("a client that opens as many tails as it can leaves one to each other client", async (t) => {
  await using redis = await startRedis();
  await using gateway = await startWithTwoHosts({ redisUrl: redis.url, tails: { tailsMax: 8 } });
  const tails = (client: string, count: number) =>
    statuses(times(count, () => call(t, gateway, client, "/v1/tail")));
  assert.deepEqual((await tails("192.0.2.1", 20)).filter((status) => status === 200).length, 4);
  assert.deepEqual(await tails("192.0.2.2", 1), [200]);
  assert.deepEqual(await tails("2001:db8::1", 1), [200]);
  assert.match(await readMetric(gateway, 'limit="tails"'), / 16$/);
});

test("a client that runs as many exports as it can leaves one to another, and regains its own", async (t) => {
  await using gateway = await startWithTwoHosts({ exportsMax: 4 });
  await using lock = await lockTable(gateway, "records");
  const waiting = times(2, () => call(t, gateway, "192.0.2.1", "/v1/export?device_id=host-1"));
  await waitFor("two exports to run", async () =>
    (await readMetric(gateway, "fleetlog_exports_running")).endsWith(" 2") ? true : undefined,
  );
  const refused = await statuses(times(3, () => call(t, gateway, "192.0.2.1", "/v1/export")));
  assert.deepEqual(refused, [429, 429, 429]);
  const other = call(t, gateway, "192.0.2.2", "/v1/export?device_id=host-1");
  await waitFor("the export of the other", async () =>
    (await readMetric(gateway, "fleetlog_exports_running")).endsWith(" 3") ? true : undefined,
  );
  await lock.release();
  assert.deepEqual(await statuses([...waiting, other]), [200, 200, 200]);
});

for (const { kind, path, inside } of [
  { kind: "expensive", path: "/v1/logs?text=none", inside: 1 },
  { kind: "cheap", path: "/v1/logs?device_id=none", inside: 2 },
]) {
  test(`a client whose ${kind} queries fill the queue never causes a 429 for another client's first one`, async (t) => {
    const options = { queryTimeoutMs: 60_000, connectionsMax: 2, heavyQueriesMax: 1 };
    await using gateway = await startWithTwoHosts(options);
    await using lock = await lockTable(gateway, "devices");
    const places = 20 + inside;
    let refusals = 0;
    // All differ: identical ones would be one query.
    const ask = async (client: string, index: number) => {
      const { statusCode } = await call(t, gateway, client, `${path}${index}`);
      if (statusCode === 429) refusals += 1;
      return statusCode;
    };
    const flood = times(200, (index) => ask("192.0.2.1", index));
    await waitFor("the line to be full", async () => (refusals === 200 - places ? true : undefined));
    const others = times(5, (index) => ask(`192.0.2.${10 + index}`, 500 + index));
    await waitFor("their places", async () => (refusals === 205 - places ? true : undefined));
    await lock.release();
    assert.deepEqual(await Promise.all(others), [200, 200, 200, 200, 200]);
    const answered = (await Promise.all(flood)).filter((status) => status === 200);
    assert.equal(answered.length, places - 5);
  });
}

test("a list that reads too many long batches waits for a permit, and other lists do not wait for it", async (t) => {
  await using gateway = await startWithTwoHosts({ heavyQueriesMax: 1, queryTimeoutMs: 60_000 });
  const pool = new Pool({ connectionString: gateway.databaseUrl, max: 1 });
  // A device whose clock jumps: each batch has a record of now and one of the year 2554.
  await pool.query(`
    with flood as (
      insert into batches (id, received_at, first_time, last_time, sequence, device_key, record_count,
        rejected_count, severities, bytes, session_id, digest)
      select next_batch_id(now()), now(), now(), '2554-01-01', n, 1, 2, 0, 512, 9, 'flood', sha256(n::text::bytea)
      from generate_series(1, 500) n returning *)
    ${storeRecords(`
      select id, idx, case idx when 0 then first_time else last_time end, 9, '', 'flood'
      from flood, generate_series(0, 1) idx`)}`);
  await pool.end();
  // Holds the only permit.
  await using lock = await lockTable(gateway, "incidents");
  const held = call(t, gateway, "192.0.2.1", "/v1/statistics");
  await lock.untilWaited();
  const flooded = call(t, gateway, "192.0.2.2", "/v1/logs?page_size=3");
  let isAnswered = false;
  void flooded.then(() => (isAnswered = true));
  const [other] = await statuses([call(t, gateway, "192.0.2.3", "/v1/logs?device_id=host-2")]);
  assert.deepEqual([other, isAnswered], [200, false]);
  await lock.release();
  assert.deepEqual(await statuses([held, flooded]), [200, 200]);
  const { body } = await gateway.get("/v1/logs?page_size=3");
  assert.deepEqual(
    body.logs.map(({ message }) => message),
    ["flood", "flood", "flood"],
  );
});

/** Blocks every read of the table while it is held. */
async function lockTable(gateway: Gateway, table: string) {
  const pool = new Pool({ connectionString: gateway.databaseUrl, max: 1 });
  const client = await pool.connect();
  await client.query(`begin; lock table ${table} in access exclusive mode`);
  let isHeld = true;
  const release = async () => {
    if (isHeld) client.release(true);
    isHeld = false;
    await pool.end();
  };
  const untilWaited = () =>
    waitFor("a query to wait for the lock", async () => {
      const { rowCount } = await client.query(
        "select from pg_locks where relation = $1::regclass and not granted",
        [table],
      );
      return rowCount === 0 ? undefined : true;
    });
  return { release, untilWaited, [Symbol.asyncDispose]: async () => (isHeld ? await release() : undefined) };
}

/** The last line of the metrics that contains `part`. */
async function readMetric(gateway: Gateway, part: string): Promise<string> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return text.split("\n").findLast((line) => line.includes(part)) ?? "";
}
