import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { encodeRecord } from "#client/stream/record.ts";
import { device, toBatch } from "#client/testing/test-device.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { readAttributes } from "#proto/attributes.ts";
import { StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { LogRecordSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";

const requestsOf = (peer: TestPeer) =>
  peer.seen.map(({ request }) => fromBinary(StreamLogsRequestSchema, request));

test("every request has the uptime of the moment when it is written, also one that is sent again", async () => {
  using peer = await new TestPeer().start();
  let cuts = 0;
  peer.answer = () => (cuts++ === 0 ? "cut" : {});
  let uptime = 0n;
  using sender = device({ address: peer.address, uptime: () => (uptime += 5n), rejectionsMax: 7 });
  await sender.send("one");
  await sender.stream.flush();
  const [first, second] = requestsOf(peer);
  assert.deepEqual([first?.uptimeNano, second?.uptimeNano], [5n, 10n]);
  assert.deepEqual(second?.batch, first?.batch);
  assert.equal(second?.rejectionsMax, 7);
});

test("a device that asks for nothing sends its batch alone", async () => {
  using peer = await new TestPeer().start();
  using sender = device({ address: peer.address });
  await sender.send("one");
  await sender.stream.flush();
  const [request] = requestsOf(peer);
  assert.deepEqual([request?.uptimeNano, request?.rejectionsMax], [0n, 0]);
});

test("batches of an earlier process are sent without the uptime of this one", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-uptime-"));
  try {
    using peer = await new TestPeer().start();
    peer.answer = () => "silence";
    {
      using first = device({ address: peer.address, spool: { folder } });
      await first.send("before");
    }
    peer.answer = () => ({});
    using second = device({ address: peer.address, spool: { folder }, uptime: () => 7n });
    await second.send("after");
    await second.stream.flush();
    const uptimes = requestsOf(peer).map(({ batch, uptimeNano }) => [batch?.records[0]?.message, uptimeNano]);
    assert.deepEqual(uptimes.findLast(([message]) => message === "before")?.[1], 0n);
    assert.deepEqual(uptimes.findLast(([message]) => message === "after")?.[1], 7n);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("what the device says about itself goes with the first batch, and with the next one after a change", async () => {
  using peer = await new TestPeer().start();
  using sender = device({ address: peer.address, device: { firmware: "1.0", attributes: { slots: 4 } } });
  await sender.send("one", "two");
  sender.stream.setDevice({ firmware: "1.1", site: "Plant 7" });
  await sender.send("three", "four");
  await sender.stream.flush();
  const infos = requestsOf(peer).map(({ batch }) => batch?.device);
  assert.deepEqual(
    infos.map((info) => info && [info.firmware, info.site, readAttributes(info.attributes)]),
    [["1.0", "", { slots: 4n }], undefined, ["1.1", "Plant 7", {}], undefined],
  );
});

for (const [field, wanted] of [
  ["batch.attributes", ["2.1.0", "2.1.0", undefined]],
  ["batch.device.firmware", ["2.1.0", undefined, undefined]],
] as const) {
  test(`after a batch is refused for its ${field}, ${wanted[1] ? "the next one says it again" : "none says it again"}`, async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ sequence, dropped }) =>
      sequence === 1n && !dropped
        ? { error: { code: 3, field, message: "is no good", retryDelayMs: 0 } }
        : {};
    using sender = device({ address: peer.address, device: { firmware: "2.1.0" } });
    for (const text of ["one", "two", "three"]) {
      await sender.send(text);
      await sender.stream.flush();
    }
    const batches = requestsOf(peer).flatMap(({ batch }) => (batch && !batch.dropped ? [batch] : []));
    assert.deepEqual(
      batches.map(({ device }) => device?.firmware),
      wanted,
    );
  });
}

test("a batch without room for it leaves it to the next one", async () => {
  using peer = await new TestPeer().start();
  using sender = device({ address: peer.address, device: { firmware: "f".repeat(256) } });
  const large = Array.from({ length: 16 }, () => encodeRecord({ message: "m".repeat(65_520) }));
  await sender.stream.send(large, "large");
  await sender.stream.send(toBatch("small"), "small");
  await sender.stream.flush();
  const infos = requestsOf(peer).map(({ batch }) => batch?.device?.firmware.length);
  assert.deepEqual(infos, [undefined, 256]);
  assert.throws(
    () => sender.stream.setDevice({ site: "s".repeat(257) }),
    /device.site: 257 bytes, the limit is 256/,
  );
  const attributes = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`a${at}`, "x".repeat(8_192)]));
  assert.throws(() => sender.stream.setDevice({ attributes }), /the limit is 65536/);
});

test("the server's time is that of its latest ack and what passed since", async () => {
  using peer = await new TestPeer().start();
  peer.answer = () => ({ serverTimeUnixNano: 1_000_000_000_000n });
  using sender = device({ address: peer.address });
  assert.equal(sender.stream.serverTimeUnixNano, undefined);
  const before = performance.now();
  await sender.send("one");
  await sender.stream.flush();
  const elapsedMs = Number((sender.stream.serverTimeUnixNano ?? 0n) - 1_000_000_000_000n) / 1e6;
  assert(elapsedMs >= 0 && elapsedMs <= performance.now() - before, `${elapsedMs} ms`);
});

test("attributes have types", () => {
  const attributes = { text: "", yes: true, whole: -3, large: 2n ** 60n, half: 0.5, none: null };
  const record = fromBinary(LogRecordSchema, encodeRecord({ message: "", attributes }));
  assert.deepEqual(readAttributes(record.attributes), { ...attributes, whole: -3n });
});
