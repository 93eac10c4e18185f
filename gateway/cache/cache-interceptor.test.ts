import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Redis } from "ioredis";
import { Pool } from "pg";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { startRedis, type TestRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { listLogsPath, startWithTwoHosts } from "../testing/two-hosts.ts";

let redisServer: TestRedis;
let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  redisServer = await startRedis();
  gateway = await startWithTwoHosts({ redisUrl: redisServer.url });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await redisServer[Symbol.asyncDispose]();
});

const closed = "start_time=2026-01-01T00:00:00Z&end_time=2026-01-01T01:00:00Z";

/** Waits for a hit in Redis: the first calls may precede the connection. */
async function waitForHit(path: string) {
  return await waitFor(`${path} to be cached`, async () => {
    const answer = await gateway.get(path, inOtherWords());
    return answer.headers.get("x-cache") === "hit" && answer;
  });
}

/** A header that differs from every call before, so that the bytes sent last do not match. */
function inOtherWords(): RequestInit {
  words += 1;
  return { headers: { "accept-encoding": `identity, x-${words}` } };
}
let words = 0;

test("the same request is answered from the cache, over each transport, for 5 min when its range is over", async () => {
  const first = await gateway.get(`/v1/logs?${closed}&text=first`);
  assert.equal(first.headers.get("x-cache"), "miss");
  const answer = await waitForHit(`/v1/logs?${closed}`);
  assert.equal(answer.headers.get("cache-control"), "private, max-age=300");
  assert.equal(answer.body.logs.length, 4);
  const range = { startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-01T01:00:00Z" };
  const connect = await gateway.post(listLogsPath, range);
  assert.equal(connect.headers.get("x-cache"), "hit");
  assert.equal(connect.headers.get("content-type"), "application/json");
  assert.deepEqual(connect.body, answer.body);
  const open = await waitForHit("/v1/devices");
  assert.equal(open.headers.get("cache-control"), "private, max-age=1");

  const redis = new Redis(redisServer.url);
  const keys = await redis.keys("*");
  assert.ok(keys.length >= 2);
  for (const key of keys) {
    assert.match(key, /^fleetlog-cache:[\w-]{43}$/);
    assert.ok((await redis.pttl(key)) > 0);
  }
  redis.disconnect();
});

test("the method is part of the cache's key", async () => {
  const incidents = await waitForHit(`/v1/incidents?${closed}`);
  assert.deepEqual(incidents.body.incidents, []);
  const letters = await gateway.get(`/v1/dead-letters?${closed}`, inOtherWords());
  assert.equal(letters.headers.get("x-cache"), "miss");
  assert.deepEqual(letters.body.deadLetters, []);
});

async function countHits(): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return Number(/^fleetlog_cache_requests_total\{.*ListLogs.*hit.*\} (\d+)$/m.exec(text)?.[1]);
}

test("gRPC and gRPC-Web read a response from the cache, with its status", async () => {
  await waitForHit(`/v1/logs?${closed}`);
  for (const transport of [
    createGrpcTransport({ baseUrl: gateway.url }),
    createGrpcWebTransport({ baseUrl: gateway.url, httpVersion: "1.1" }),
    createGrpcWebTransport({ baseUrl: gateway.url, httpVersion: "2" }),
  ]) {
    let cache: string | null = null;
    const { logs } = await createClient(QueryService, transport).listLogs(
      {
        startTime: timestampFromDate(new Date("2026-01-01T00:00:00Z")),
        endTime: timestampFromDate(new Date("2026-01-01T01:00:00Z")),
      },
      { onHeader: (header) => (cache = header.get("x-cache")) },
    );
    assert.deepEqual([logs.length, cache], [4, "hit"]);
  }
});

test("an identical request gets the same bytes, compressed or not, and is counted; an equivalent one is answered from Redis", async () => {
  const path = `/v1/logs?${closed}&page_size=3`;
  const plain = await waitForHit(path);
  const before = await countHits();
  const gzipped = { headers: { "accept-encoding": "gzip" } };
  const bodies: string[] = [];
  for (const options of [{}, {}, gzipped, gzipped]) {
    const answer = await fetch(gateway.url + path, options);
    const body = await answer.text();
    bodies.push(body);
    assert.deepEqual(
      [answer.headers.get("x-cache"), answer.headers.get("etag"), JSON.parse(body)],
      ["hit", plain.headers.get("etag"), plain.body],
    );
  }
  assert.equal(new Set(bodies).size, 1);
  assert.equal(await countHits(), before + 4);

  const body = JSON.stringify({
    startTime: "2026-01-01T00:00:00Z",
    endTime: "2026-01-01T01:00:00Z",
    pageSize: 3,
  });
  for (const spaces of ["", " ", " "]) {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(gateway.url + listLogsPath, { method: "POST", headers, body: body + spaces });
    assert.equal(answer.headers.get("x-cache"), "hit");
    assert.deepEqual(await answer.json(), plain.body);
  }
});

test("a response expires, in Redis and in the gateway's memory", async () => {
  const path = "/v1/logs?page_size=2";
  const first = await waitForHit(path);
  assert.equal(first.headers.get("cache-control"), "private, max-age=1");
  await waitFor("the answer to grow old", async () => {
    const answer = await gateway.get(path);
    return answer.headers.get("x-cache") === "miss";
  });
});

test("a request with the current etag gets 304 and no body", async () => {
  const path = `/v1/logs?${closed}&page_size=1`;
  const etag = (await gateway.get(path)).headers.get("etag") ?? "";
  const again = await fetch(gateway.url + path, { headers: { "if-none-match": `"other", ${etag}` } });
  assert.deepEqual([again.status, await again.text(), again.headers.get("etag")], [304, "", etag]);
  const other = await fetch(`${gateway.url}/v1/logs?${closed}&page_size=2`, {
    headers: { "if-none-match": etag },
  });
  assert.equal(other.status, 200);
  await other.text();
});

test("an error is not cached", async () => {
  for (let round = 0; round < 2; round++) {
    const { status, headers } = await gateway.get("/v1/devices/unknown");
    assert.deepEqual([status, headers.get("x-cache")], [404, null]);
  }
});

test("concurrent identical requests are one query, which survives the client that started it", async () => {
  const pool = new Pool({ connectionString: gateway.databaseUrl, max: 2 });
  pool.on("error", () => {});
  const locker = await pool.connect();
  await locker.query("begin; lock table batches in access exclusive mode");
  const running = async () => {
    const { rows } = await pool.query(
      "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    );
    return rows.length;
  };
  const leaving = new AbortController();
  const path = `${gateway.url}/v1/logs?text=together`;
  const first = fetch(path, { signal: leaving.signal });
  first.catch(() => {});
  await waitFor("the query", async () => (await running()) === 1);
  const others = Array.from({ length: 20 }, () => fetch(path));
  leaving.abort();
  await assert.rejects(first);
  await waitFor("one query for the others", async () => (await running()) === 1);
  await locker.query("rollback");
  locker.release();
  const seen = (await Promise.all(others)).map((answer) => [answer.status, answer.headers.get("x-cache")]);
  assert.ok(seen.every(([status]) => status === 200));
  assert.ok(seen.filter(([, how]) => how === "miss").length <= 2, JSON.stringify(seen));
  await pool.end();
});

test("a Redis that hangs or is unreachable slows the response and breaks nothing", async () => {
  const path = `/v1/logs?${closed}`;
  process.kill(redisServer.pid, "SIGSTOP");
  try {
    const hanging = await gateway.get(path);
    assert.deepEqual([hanging.status, hanging.body.logs.length], [200, 4]);
  } finally {
    process.kill(redisServer.pid, "SIGCONT");
  }
  await waitForHit(path);
  process.kill(redisServer.pid, "SIGKILL");
  const gone = await waitFor("the cache to be missed", async () => {
    const answer = await gateway.get(path, inOtherWords());
    return answer.headers.get("x-cache") === "miss" && answer;
  });
  assert.deepEqual([gone.status, gone.body.logs.length], [200, 4]);
  const { body } = await gateway.get("/v1/statistics");
  assert.equal(body.lag, undefined);
});
