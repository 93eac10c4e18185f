import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import { createAttributes } from "#proto/attributes.ts";
import { streamKey } from "#stream/keys.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { follow } from "./testing/follow.ts";
import { makeEntry, startTailedGateway } from "./testing/tailed-gateway.ts";

test("sends records that arrive after the call, once, each device's batches in order, as they will be stored", async (t) => {
  const { gateway, append } = await startTailedGateway(t);
  await append("a", 1, ["before"]);
  const tail = follow(t, gateway.url);
  await tail.untilFollowing();
  await append("a", 2, [
    {
      timeUnixNano: 1_767_225_600_123_456_789n,
      severity: 17,
      logger: "net",
      message: "ü 1",
      attributes: createAttributes({ k: "v" }),
    },
    {},
  ]);
  await append("b", 1, ["b 1"]);
  await append("a", 3, ["a 3"]);
  await tail.untilCount(4);
  const [first, second] = tail.logs();
  assert.deepEqual([first?.time?.seconds, first?.time?.nanos], [1_767_225_600n, 123_456_000]);
  assert.deepEqual(
    [first?.deviceId, first?.sessionId, first?.sequence, first?.index, first?.severity, first?.logger],
    ["a", "boot", 2n, 0, 17, "net"],
  );
  assert.deepEqual([first?.message, first?.attributes], ["ü 1", { k: "v" }]);
  // A record without a time has that of its reception.
  assert.deepEqual([second?.index, second?.time], [1, second?.receivedAt]);
  assert.deepEqual(
    tail.logs().flatMap(({ deviceId, sequence }) => (deviceId === "a" ? [Number(sequence)] : [])),
    [2, 2, 3],
  );
});

test("sends no rejected record, nothing of a malformed entry, and a retry only once", async (t) => {
  const { gateway, append, appender, redis } = await startTailedGateway(t);
  const tail = follow(t, gateway.url);
  await tail.untilFollowing();
  await append("a", 1, ["good", "a NUL \0 in it", "good too"]);
  await redis.xadd(streamKey(0), "*", "version", "1", "device", "x");
  await appender.append({ ...makeEntry("a", 2, ["of another device"]), deviceId: "b" });
  await appender.append({ ...makeEntry("a", 3, ["x"]), batch: Buffer.from("no protobuf") });
  await append("a", 1, ["good", "a NUL \0 in it", "good too"]);
  // The same bytes from a sender without a session are two batches.
  const named = makeEntry("c", 0, ["by curl"]);
  const unnamed = { ...named, batch: Buffer.from("0a01632209", "hex") };
  const body = Buffer.concat([unnamed.batch, Buffer.from([0x22, 7]), Buffer.from("by curl")]);
  const bytes = Buffer.concat([Buffer.from("0a0163", "hex"), Buffer.from([0x22, 9]), body.subarray(5)]);
  for (const sequence of [1n, 2n]) {
    await appender.append({ ...named, sessionId: "~x", sequence, batch: bytes });
  }
  // But not if the server named them by their content.
  for (let time = 0; time < 2; time++) {
    await appender.append({ ...named, sessionId: "~otlp", sequence: 3n, batch: bytes });
  }
  await append("a", 4, ["last"]);
  await tail.until("the last", () => tail.texts().includes("last"));
  assert.deepEqual(tail.texts().sort(), ["by curl", "by curl", "by curl", "good", "good too", "last"]);
  assert.deepEqual(
    tail.logs().flatMap(({ message, index }) => (message.startsWith("good") ? [index] : [])),
    [0, 2],
  );
});

test("sends only matching records, and advances its token past the rest", async (t) => {
  const { gateway, append } = await startTailedGateway(t, { heartbeatMs: 20 });
  const tail = follow(t, gateway.url, {
    filter: { deviceIds: ["a", "b"], minSeverity: 13, words: "LINK" },
  });
  await tail.untilFollowing();
  const before = tail.token();
  await append("c", 1, [{ severity: 17, message: "link down" }]);
  await tail.until("a later token", () => tail.token() !== before);
  assert.deepEqual(tail.logs(), []);
  await append("a", 1, [
    { severity: 17, message: "Link down" },
    { severity: 9, message: "link up" },
  ]);
  await tail.untilCount(1);
  await append("b", 1, [
    { severity: 14, message: "no carrier" },
    { severity: 14, message: "uplink" },
  ]);
  await tail.untilCount(2);
  assert.deepEqual(tail.texts(), ["Link down", "uplink"]);
});

test("sends heartbeats", async (t) => {
  const { gateway } = await startTailedGateway(t, { heartbeatMs: 10 });
  const tail = follow(t, gateway.url);
  await tail.until("heartbeats", () => tail.messages.length > 4);
  assert.ok(
    tail.messages.slice(1).every(({ event, resumeToken }) => event.case === undefined && resumeToken),
  );
});

test("sends heartbeats also while records arrive that do not match", async (t) => {
  const { gateway, append } = await startTailedGateway(t, { heartbeatMs: 200 });
  const tail = follow(t, gateway.url, { filter: { deviceId: "quiet" } });
  await tail.untilFollowing();
  let sequence = 0;
  await waitFor("heartbeats", async () => {
    await append("busy", (sequence += 1), ["not asked for"]);
    return tail.messages.filter(({ event }) => event.case === undefined).length >= 3;
  });
  assert.deepEqual(tail.logs(), []);
});

test("sends records with large batch attributes in messages of a bounded size, and resumes without a loss", async (t) => {
  const { gateway, start, appender } = await startTailedGateway(t);
  const tail = follow(t, gateway.url);
  await tail.untilFollowing();
  const before = tail.token();
  const large = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`n${n}`, "x".repeat(8000)]));
  const records = Array.from({ length: 40 }, (_, n) => `record ${n}`);
  await appender.append(makeEntry("a", 1, records, "boot", createAttributes({ ...large, ok: true })));
  await tail.untilCount(40);
  assert.deepEqual(tail.texts(), records);
  assert.ok(tail.logs().every(({ attributes }) => attributes?.["ok"] === true));
  const sizes = tail.messages.flatMap(({ event }) =>
    event.case === "logs" ? [event.value.logs.length] : [],
  );
  assert.ok(sizes.length >= 4 && Math.max(...sizes) <= 10, sizes.join(", "));
  const tokens = tail.messages
    .filter(({ event }) => event.case === "logs")
    .map(({ resumeToken }) => resumeToken);
  assert.deepEqual(new Set(tokens.slice(0, -1)), new Set([before]), "none but the last passes the batch");
  const resumed = follow(t, (await start()).url, { resumeToken: tokens[1] ?? "" });
  await resumed.untilCount(40);
  assert.deepEqual(resumed.texts(), records);
});

test("200 tails cost one read of the stream, and each gets every record", async (t) => {
  const { gateway, append } = await startTailedGateway(t);
  const tails = Array.from({ length: 200 }, (_, i) =>
    follow(t, gateway.url, i % 2 ? { filter: { deviceId: "d-1" } } : {}),
  );
  await Promise.all(tails.map((tail) => tail.untilFollowing()));
  for (let sequence = 1; sequence <= 10; sequence += 1) {
    for (const device of ["d-1", "d-2"]) await append(device, sequence, ["x", "y"]);
  }
  await Promise.all(tails.map((tail, i) => tail.untilCount(i % 2 ? 20 : 40)));
  assert.ok(tails.every((tail, i) => tail.logs().length === (i % 2 ? 20 : 40)));
  const metrics = await gateway.registry.getMetricsAsJSON();
  const readValue = (name: string) => metrics.find((metric) => metric.name === name)?.values[0]?.value;
  assert.equal(readValue("fleetlog_tail_batches_read_total"), 20);
  assert.equal(readValue("fleetlog_tails_open"), 200);
  await Promise.all(tails.map((tail) => tail.stop()));
  const open = gateway.registry.getSingleMetric("fleetlog_tails_open");
  await waitFor("all to be let go", async () => (await open?.get())?.values[0]?.value === 0);
});

test("tails beyond the limit are refused with a retry delay, and invalid requests with their error", async (t) => {
  const { gateway } = await startTailedGateway(t, { tailsMax: 1 });
  const first = follow(t, gateway.url);
  await first.untilFollowing();
  const refused = await follow(t, gateway.url).ended;
  assert.equal(refused?.code, Code.ResourceExhausted);
  assert.match(refused.rawMessage, /1 tails are open.*TAILS_MAX/);
  await first.stop();
  const second = follow(t, gateway.url);
  await second.until("room again", () => second.messages.length > 0);
  for (const [request, field] of [
    [{ last: -1 }, /last: -1, expected 0 to 1000/],
    [{ resumeToken: "1_x!" }, /resume_token: "1_x!", expected/],
    [{ filter: { deviceId: "?" } }, /device_id/],
  ] as const) {
    const error = await follow(t, gateway.url, request).ended;
    assert.equal(error?.code, Code.InvalidArgument);
    assert.match(error.rawMessage, field);
  }
});

test("a stopping gateway ends its tails in order, and their tokens are valid at the next one", async (t) => {
  const { gateway, start, append } = await startTailedGateway(t);
  const tail = follow(t, gateway.url);
  await tail.untilFollowing();
  await append("a", 1, ["one"]);
  await tail.untilCount(1);
  await gateway.stop();
  const error = await tail.ended;
  assert.equal(error?.code, Code.Unavailable);
  await append("a", 2, ["two"]);
  const next = follow(t, (await start()).url, { resumeToken: tail.token(), last: 100 });
  await append("a", 3, ["three"]);
  await next.untilCount(2);
  assert.deepEqual(next.texts(), ["two", "three"]);
  assert.deepEqual(next.events(), ["following"]);
});
