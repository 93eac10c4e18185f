import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Pool } from "pg";
import type { Entry } from "#stream/entry.ts";
import { groupName, streamKey } from "#stream/keys.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { openPool } from "../testing/open-pool.ts";
import { seed } from "../testing/seed.ts";
import { startGateway } from "../testing/start-gateway.ts";
import { follow } from "./testing/follow.ts";
import { shards, startTailedGateway } from "./testing/tailed-gateway.ts";

const future = (message: string) => [{ message, timeUnixNano: 2n ** 64n - 1n }];
/** A millisecond apart, so that their order does not depend on the speed of the test. */
const startedMs = Date.now();
const toMicros = (n: number) => BigInt(startedMs + n) * 1000n;
const records = (n: number) => [{ message: String(n), timeUnixNano: toMicros(n) * 1000n }];

async function start(t: TestContext) {
  const fixture = await startTailedGateway(t);
  const pool = openPool(fixture.databaseUrl);
  t.after(() => pool.end());
  return { ...fixture, pool };
}

/** Stores the batch of an entry, of one record, as the consumer would. */
async function store(
  pool: Pick<Pool, "query">,
  entry: Entry,
  message: string,
  timeMicros = BigInt(entry.receivedAtMicros),
): Promise<void> {
  const { deviceId, sessionId, sequence, digest, receivedAtMicros } = entry;
  await seed(pool as Pool, [
    {
      deviceId,
      sessionId,
      sequence: Number(sequence),
      receivedMicros: BigInt(receivedAtMicros),
      records: [{ timeMicros, message }],
    },
  ]);
  await pool.query("update batches set digest = $1 where session_id = $2 and sequence = $3", [
    digest,
    sessionId,
    String(sequence),
  ]);
}

test("the last records are the newest of the stored and the waiting ones, by time, each once", async (t) => {
  const { gateway, append, pool } = await start(t);
  for (const n of [1, 2, 3]) await store(pool, await append("a", n, records(n)), String(n), toMicros(n));
  await append("a", 4, records(4));
  await store(pool, await append("b", 5, records(5)), "5", toMicros(5)); // and its ack was not read yet
  await append("b", 6, records(6));
  await append("c", 7, [{ message: "of a clock that is behind", timeUnixNano: 1n }]);
  const all = follow(t, gateway.url, { last: 100 });
  await all.untilFollowing();
  assert.deepEqual(all.texts(), ["of a clock that is behind", "1", "2", "3", "4", "5", "6"]);
  const few = follow(t, gateway.url, { last: 3 });
  await few.untilFollowing();
  assert.deepEqual(few.texts(), ["4", "5", "6"]);
  const none = follow(t, gateway.url);
  await none.untilFollowing();
  assert.deepEqual(none.logs(), []);
});

test("a batch that is stored before the tail has read it is sent once", async (t) => {
  const { gateway, append, pool } = await start(t);
  const holding = await pool.connect();
  await holding.query("begin");
  await holding.query("lock table batches");
  const tail = follow(t, gateway.url, { last: 100 });
  await waitFor("the tail to wait for PostgreSQL", async () => {
    const { rowCount } = await pool.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    );
    return rowCount;
  });
  await store(holding, await append("a", 1, ["ahead of the tail"]), "ahead of the tail");
  await append("a", 2, ["not stored yet"]);
  await holding.query("commit");
  holding.release();
  await tail.untilCount(2);
  await append("a", 3, ["later"]);
  await tail.untilCount(3);
  assert.deepEqual(tail.texts(), ["ahead of the tail", "not stored yet", "later"]);
});

test("a backlog larger than the gateway searches is reported as a gap", async (t) => {
  const { gateway, start, append, redis } = await startTailedGateway(t);
  for (let shard = 0; shard < shards; shard += 1) {
    await redis.xgroup("CREATE", streamKey(shard), groupName, "0", "MKSTREAM");
  }
  for (let n = 1; n <= 100; n += 1) await append("a", n, [`${n} ${"x".repeat(1000)}`]);
  const enough = follow(t, gateway.url, { last: 10 });
  await enough.untilFollowing();
  assert.deepEqual(enough.events(), ["following"]);
  const small = follow(t, (await start({ ringBytesMax: 40_000 })).url, { last: 10 });
  await small.untilFollowing();
  assert.deepEqual(small.events(), ["gap", "following"]);
  assert.match(small.texts().at(-1) ?? "", /^100 /);
});

test("a record of the future is not among the last, and is sent when it arrives", async (t) => {
  const { gateway, append, pool } = await start(t);
  const micros = BigInt(Date.now()) * 1000n;
  await seed(pool, [
    {
      deviceId: "a",
      receivedMicros: micros,
      records: [{ timeMicros: micros + 31_536_000_000_000n, message: "stored" }],
    },
  ]);
  await append("b", 1, future("waits"));
  await append("c", 2, records(2));
  const last = follow(t, gateway.url, { last: 3 });
  await last.untilFollowing();
  assert.deepEqual(last.texts(), ["2"]);
  await append("d", 3, future("3"));
  await last.untilCount(2);
  assert.deepEqual(last.texts(), ["2", "3"]);
  assert.equal(last.logs().at(-1)?.time?.seconds, (2n ** 64n - 1n) / 1_000_000_000n);
  const all = follow(t, gateway.url, { last: 9, endTime: { seconds: 253_402_300_000n } });
  await all.untilFollowing();
  assert.deepEqual(all.texts().toSorted(), ["2", "3", "stored", "waits"]);
});

/** The newest and the oldest of 401 have a needle. */
const hay = (n: number) => ({
  deviceId: "a",
  receivedMicros: toMicros(n * 1000),
  records: [{ timeMicros: toMicros(n * 1000), message: n % 400 === 0 ? `needle ${n}` : "hay" }],
});

test("of a long search the last records are those found by then, and the tail follows", async (t) => {
  const { server, append, pool, databaseUrl } = await start(t);
  await seed(
    pool,
    Array.from({ length: 401 }, (_, n) => hay(n - 400)),
  );
  const gateway = await startGateway(databaseUrl, { redisUrl: server.url, patienceMs: 0 });
  t.after(() => gateway[Symbol.asyncDispose]());
  const tail = follow(t, gateway.url, { last: 10, filter: { text: "needle" } });
  await tail.untilFollowing();
  assert.deepEqual(tail.texts(), ["needle 0"]);
  await append("a", 1000, [{ message: "a new needle" }]);
  await tail.until("the new record", () => tail.texts().includes("a new needle"));
});
