import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { groupName, streamKey } from "#stream/keys.ts";
import { startTestRedis } from "#stream/testing/redis-clients.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type Follower, follow } from "./testing/follow.ts";
import { shards, startTailedGateway } from "./testing/tailed-gateway.ts";

/** The approximate size of 30 batches of one record. */
const smallRing = { ringBytesMax: 40_000 };

type Fixture = Awaited<ReturnType<typeof startTailedGateway>>;

/** Appends batches `from` to `to`, of one record each, named by their number. */
async function appendMany({ append }: Fixture, from: number, to: number): Promise<void> {
  await Promise.all(numbers(from, to).map((n) => append(`device-${Number(n) % 5}`, Number(n), [n])));
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

/** Follows until number `to` arrives, then stops; returns the token. */
async function followTo(t: TestContext, fixture: Fixture, to: number): Promise<string> {
  const tail = follow(t, fixture.gateway.url);
  await tail.untilFollowing();
  await appendMany(fixture, 1, to);
  await tail.untilCount(to);
  await tail.stop();
  return tail.token();
}

const sorted = (tail: Follower) => tail.texts().toSorted((a, b) => Number(a) - Number(b));

test("resumes after its token from the gateway's memory", async (t) => {
  const fixture = await startTailedGateway(t);
  const resumeToken = await followTo(t, fixture, 20);
  await appendMany(fixture, 21, 30);
  const tail = follow(t, fixture.gateway.url, { resumeToken });
  await tail.untilCount(10);
  await appendMany(fixture, 31, 32);
  await tail.untilCount(12);
  assert.deepEqual(sorted(tail), numbers(21, 32));
  assert.deepEqual(tail.events(), ["following"]);
});

test("resumes after its token from Redis, when the gateway's memory begins later", async (t) => {
  const fixture = await startTailedGateway(t, smallRing);
  const resumeToken = await followTo(t, fixture, 20);
  await appendMany(fixture, 21, 300);
  for (const gateway of [fixture.gateway, await fixture.start(smallRing)]) {
    const tail = follow(t, gateway.url, { resumeToken, last: 10 });
    await tail.untilCount(280);
    await tail.untilFollowing();
    assert.deepEqual(sorted(tail), numbers(21, 300));
    assert.deepEqual(tail.events(), ["following"]);
  }
});

test("reports a gap when Redis no longer has the next entries, and continues with the last records", async (t) => {
  const fixture = await startTailedGateway(t);
  const resumeToken = await followTo(t, fixture, 20);
  await appendMany(fixture, 21, 40);
  const { lastId } = await trimAllBut(fixture, 1);
  const tail = follow(t, (await fixture.start()).url, { resumeToken, last: 5 });
  await tail.untilFollowing();
  assert.deepEqual(tail.events(), ["gap", "following"]);
  const [{ event } = { event: undefined }] = tail.messages;
  assert(event?.case === "gap");
  assert.match(event.value.reason, /lagged more than TAIL_WINDOW_MS/);
  const [from, to] = [event.value.startTime, event.value.endTime].map((time) => Number(time?.seconds) * 1000);
  assert.ok(Number(from) < lastId && lastId < Number(to));
  await appendMany(fixture, 41, 42);
  await waitFor("the newest", () => tail.texts().includes("42"));
  assert.deepEqual(sorted(tail).slice(-2), ["41", "42"]);
});

test("reports a gap when it reads so slowly that Redis trims unread entries", async (t) => {
  const fixture = await startTailedGateway(t);
  const tail = follow(t, fixture.gateway.url);
  await tail.untilFollowing();
  await appendMany(fixture, 1, 10);
  await tail.untilCount(10);
  // At once, so that no tail can have read the first of them.
  const pipeline = fixture.redis.multi();
  for (let i = 0; i < 700; i += 1) pipeline.xadd(streamKey(0), "*", "no", "batch");
  pipeline.xtrim(streamKey(0), "MAXLEN", 600);
  await pipeline.exec();
  await tail.until("the gap", () => tail.events().includes("gap"));
  await appendMany(fixture, 11, 20);
  await tail.untilCount(20);
  assert.deepEqual(sorted(tail), numbers(1, 20));
  assert.deepEqual(tail.events(), ["following", "gap"]);
});

test("a token from before Redis was emptied, or of another number of shards, leads to a gap, not to an error", async (t) => {
  const fixture = await startTailedGateway(t);
  const resumeToken = await followTo(t, fixture, 10);
  await fixture.redis.flushall();
  for (const token of [resumeToken, "1_0_0_0"]) {
    const tail = follow(t, (await fixture.start()).url, { resumeToken: token });
    await tail.untilFollowing();
    assert.deepEqual(tail.events(), ["gap", "following"]);
  }
});

test("a retry that arrives after its batch was evicted from memory is still not sent again", async (t) => {
  const fixture = await startTailedGateway(t, smallRing);
  const tail = follow(t, fixture.gateway.url);
  await tail.untilFollowing();
  for (let n = 1; n < 200; n += 10) {
    await appendMany(fixture, n, n + 9);
    await tail.untilCount(n + 9); // or it would be a slow client, for a ring as small as this
  }
  await appendMany(fixture, 1, 1);
  await appendMany(fixture, 201, 201);
  await tail.until("the last", () => tail.texts().includes("201"));
  assert.deepEqual(sorted(tail), numbers(1, 201));
});

test("a Redis that is killed and returns interrupts the tails, and no record is lost", async (t) => {
  const fixture = await startTailedGateway(t);
  const tail = follow(t, fixture.gateway.url);
  await tail.untilFollowing();
  await appendMany(fixture, 1, 10);
  await tail.untilCount(10);
  process.kill(fixture.server.pid, "SIGKILL");
  await tail.until("the interruption", () => tail.events().includes("interrupted"));
  const refused = await follow(t, fixture.gateway.url, { resumeToken: tail.token() }).ended;
  assert.match(refused?.rawMessage ?? "", /Redis is unreachable/);
  // Its data is gone with its folder: this is the harder case, another Redis at the same address.
  await startTestRedis(t, { appendonly: "no", port: new URL(fixture.server.url).port });
  await waitFor("Redis", () => fixture.redis.ping().catch(() => false));
  await tail.until("the end of it", () => tail.events().at(-1) === "following");
  await appendMany(fixture, 11, 20);
  await tail.untilCount(20);
  assert.deepEqual(sorted(tail), numbers(1, 20));
  assert.deepEqual(tail.events(), ["following", "interrupted", "gap", "following"]);
});

test("a Redis that hangs interrupts the tails, and the records it received before are sent", async (t) => {
  const fixture = await startTailedGateway(t);
  const tail = follow(t, fixture.gateway.url);
  await tail.untilFollowing();
  await appendMany(fixture, 1, 10);
  process.kill(fixture.server.pid, "SIGSTOP");
  await tail.until("the interruption", () => tail.events().includes("interrupted"));
  process.kill(fixture.server.pid, "SIGCONT");
  await tail.until("the end of it", () => tail.events().at(-1) === "following");
  await waitFor("an append", () => fixture.redis.ping().catch(() => false));
  await appendMany(fixture, 11, 20);
  await tail.untilCount(20);
  assert.deepEqual(sorted(tail), numbers(1, 20));
  assert.deepEqual(tail.events(), ["following", "interrupted", "following"]);
});

/** As if all had been stored and the window were over. Returns when the last remaining entry was added. */
async function trimAllBut({ redis }: Fixture, left: number): Promise<{ lastId: number }> {
  let lastId = 0;
  for (let shard = 0; shard < shards; shard += 1) {
    await redis.xgroup("CREATE", streamKey(shard), groupName, "$");
    await redis.xtrim(streamKey(shard), "MAXLEN", left);
    const [[id] = ["0"]] = await redis.xrevrange(streamKey(shard), "+", "-", "COUNT", 1);
    lastId = Math.max(lastId, Number.parseInt(id, 10));
  }
  return { lastId };
}
