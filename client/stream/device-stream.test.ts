import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { DeviceStreamError } from "#client/stream/device-stream-error.ts";
import { assertSameBytes, device, names, toBatch } from "#client/testing/test-device.ts";
import { TestPeer } from "#client/testing/test-peer.ts";

describe("a device stream", () => {
  test("numbers batches from 1 and reports each acknowledgement in order", async () => {
    using peer = await new TestPeer().start();
    using sender = device({ address: peer.address });
    for (const name of names) await sender.stream.send(toBatch(name, "second"), name);
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged, names);
    assert.deepEqual(
      peer.seen.map(({ sequence, messages }) => [sequence, messages[0]]),
      names.map((name, index) => [BigInt(index + 1), name]),
    );
    assert.deepEqual(sender.reconnects, []);
    assert.equal(peer.streams, 1);
  });

  test("picks a new session each time", () => {
    using one = device({});
    using other = device({});
    assert.match(one.stream.sessionId, /^[0-9a-f]{16}$/);
    assert.notEqual(one.stream.sessionId, other.stream.sessionId);
  });

  test("resends unacknowledged batches in order, with the same bytes, when the stream is cut", async () => {
    using peer = await new TestPeer().start();
    let cuts = 0;
    peer.answer = () => (peer.seen.length % 7 === 0 && cuts++ < 10 ? "cut" : {});
    using sender = device({ address: peer.address });
    for (const name of names) await sender.stream.send(toBatch(name), name);
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged, names);
    assert.equal(sender.reconnects.length, 10);
    assertSameBytes(peer);
    for (let stream = 0; stream < peer.streams; stream++) {
      const sequences = peer.seen.filter((batch) => batch.stream === stream).map(({ sequence }) => sequence);
      assert.deepEqual(
        sequences,
        sequences.toSorted((a, b) => Number(a - b)),
      );
    }
  });

  test("continues when the server dies and comes back", async () => {
    using peer = await new TestPeer().start();
    using sender = device({ address: peer.address });
    for (const name of names.slice(0, 50)) await sender.stream.send(toBatch(name), name);
    peer.kill();
    const rest = (async () => {
      for (const name of names.slice(50)) await sender.stream.send(toBatch(name), name);
      await sender.stream.flush();
    })();
    await peer.start();
    await rest;
    assert.deepEqual(sender.acknowledged, names);
    assertSameBytes(peer);
  });

  test("continues when the server sends GOAWAY in the middle", async () => {
    using peer = await new TestPeer().start();
    using sender = device({ address: peer.address });
    peer.answer = ({ sequence }) => {
      if (sequence === 50n) setImmediate(() => peer.goAway(5));
      return {};
    };
    for (const name of names) {
      await sender.stream.send(toBatch(name), name);
      await new Promise(setImmediate);
    }
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged, names);
    assertSameBytes(peer);
  });

  test("retries a batch that the server postpones, and processes the acks after it meanwhile", async () => {
    using peer = await new TestPeer().start();
    const later = new Set([2n, 3n]);
    peer.answer = ({ sequence }) => {
      if (!later.delete(sequence)) return {};
      const code = sequence === 2n ? 8 : 14;
      return { accepted: 0, error: { code, message: "later", retryDelayMs: 20 } };
    };
    using sender = device({ address: peer.address });
    for (const name of names.slice(0, 5)) await sender.stream.send(toBatch(name), name);
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged, ["batch-1", "batch-4", "batch-5", "batch-2", "batch-3"]);
    assert.deepEqual(sender.delayed, ["batch-2: later", "batch-3: later"]);
    assert.equal(peer.streams, 1);
    assertSameBytes(peer);
  });

  test("reports a refused batch, declares it as dropped, and continues", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ sequence }) =>
      sequence === 2n ? { sequence: 0n, error: { code: 3, field: "batch", message: "no good" } } : {};
    // Refuses the declaration as well: there is nothing else to be done then.
    using sender = device({ address: peer.address });
    for (const name of names.slice(0, 3)) await sender.stream.send(toBatch(name), name);
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged, ["batch-1", "batch-3"]);
    assert.deepEqual(sender.refused, ["batch-2: no good"]);
    assert.deepEqual(
      peer.seen.map(({ sequence, dropped }) => [sequence, dropped?.lastSequence, dropped?.reason]),
      [
        [1n, undefined, undefined],
        [2n, undefined, undefined],
        [3n, undefined, undefined],
        [2n, 2n, "refused: no good"],
      ],
    );
  });

  test("makes the caller wait at the limit, and never has more in flight", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => "silence";
    using sender = device({ address: peer.address, inFlightBatchesMax: 3 });
    await sender.stream.send(toBatch("1"), "1");
    await sender.stream.send(toBatch("2"), "2");
    const third = sender.stream.send(toBatch("3"), "3");
    third.catch(() => {}); // rejected by close() at the end of the test
    assert.equal(await Promise.race([third, Promise.resolve("waits")]), "waits");
    await assert.rejects(sender.stream.flush(50), /timed out after 50 ms/);
    assert.equal(peer.seen.length, 3);
  });

  test("makes the caller wait at the limit in bytes", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => "silence";
    using sender = device({ address: peer.address, inFlightBytesMax: 1_000 });
    await sender.stream.send(toBatch("x".repeat(900)), "1");
    const second = sender.stream.send(toBatch("x".repeat(900)), "2");
    second.catch(() => {}); // rejected by close() at the end of the test
    assert.equal(await Promise.race([second, Promise.resolve("waits")]), "waits");
  });

  test("refuses to queue for callers that do not wait", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => "silence";
    using sender = device({ address: peer.address, inFlightBatchesMax: 2 });
    const waiting = [1, 2, 3, 4].map((n) => sender.stream.send(toBatch(`${n}`), `${n}`));
    await assert.rejects(sender.stream.send(toBatch("5"), "5"), /await send\(\) before the next call/);
    sender.stream.close();
    const settled = await Promise.allSettled(waiting);
    assert.deepEqual(
      settled.map(({ status }) => status),
      ["fulfilled", "rejected", "rejected", "rejected"],
    );
  });

  test("replaces a connection that acknowledges nothing", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ stream }) => (stream === 0 ? "silence" : {});
    using sender = device({ address: peer.address, ackTimeoutMs: 500 });
    await sender.stream.send(toBatch("1"), "1");
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged, ["1"]);
    // Once, unless this machine is too busy to respond in time.
    assert.deepEqual([...new Set(sender.reconnects)], ["no acknowledgement within 500 ms"]);
  });

  test("rejects an ack for a batch that was not due", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ stream, sequence }) => (stream === 0 ? { sequence: sequence + 1n } : {});
    using sender = device({ address: peer.address });
    await sender.stream.send(toBatch("1"), "1");
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged, ["1"]);
    assert.deepEqual(sender.reconnects, ["the server acknowledged batch 2, expected 1"]);
  });

  test("gives up after the configured time without progress, and names the unacknowledged batches", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ sequence }) => (sequence === 1n ? {} : "cut");
    using sender = device({ address: peer.address, giveUpAfterMs: 1_000 });
    for (const name of ["1", "2", "3"]) await sender.stream.send(toBatch(name), name);
    await assert.rejects(sender.stream.flush(), (error) => {
      assert.ok(error instanceof DeviceStreamError);
      assert.match(error.message, /no batch was acknowledged for .* s: cut by the test/);
      assert.deepEqual(
        error.unacknowledged.map(({ note }) => note),
        ["2", "3"],
      );
      return true;
    });
    await assert.rejects(sender.stream.send(toBatch("4"), "4"), DeviceStreamError);
  });

  test("gives up too when every batch is postponed", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => ({ error: { code: 8, message: "full", retryDelayMs: 5 } });
    using sender = device({ address: peer.address, giveUpAfterMs: 1_000 });
    await sender.stream.send(toBatch("1"), "1");
    await assert.rejects(sender.stream.flush(), /no batch was acknowledged for .* s: full/);
  });

  test("fails immediately when retrying cannot help", async () => {
    const server = createServer();
    server.on("stream", (stream) => {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-status": "12" },
        { endStream: true },
      );
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    using sender = device({ address: `127.0.0.1:${(server.address() as AddressInfo).port}` });
    const sent = sender.stream.send(toBatch("1"), "1").then(() => sender.stream.flush());
    await assert.rejects(sent, /refuses the stream: UNIMPLEMENTED/);
    sender.stream.close();
    await new Promise((resolve) => server.close(resolve));
  });

  test("waits for a server that is not running yet", async () => {
    const peer = await new TestPeer().start();
    peer.kill();
    using sender = device({ address: peer.address });
    await sender.stream.send(toBatch("1"), "1");
    assert.equal(sender.stream.unacknowledged.length, 1);
    while (sender.reconnects.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    using _ = await peer.start();
    await sender.stream.flush();
    assert.match(sender.reconnects[0] ?? "", /ECONNREFUSED/);
    assert.deepEqual(sender.acknowledged, ["1"]);
  });
});

test("survives GOAWAY on an idle connection and opens another for the next batch", async () => {
  const sessions: ServerHttp2Session[] = [];
  const ends: (() => void)[] = [];
  // A bare HTTP/2 server, because it can send GOAWAY on an idle connection as Nginx does at
  // `keepalive_timeout`.
  const server = createServer();
  server.on("session", (session) => sessions.push(session));
  server.on("stream", (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.once("data", () => {
      stream.write(Buffer.from([0, 0, 0, 0, 4, 0x0a, 2, 8, sessions.length]));
      ends.push(() => stream.end());
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  using sender = device({ address: `127.0.0.1:${(server.address() as AddressInfo).port}` });
  for (const turn of [1, 2, 3]) {
    await sender.stream.send(toBatch(`${turn}`), `${turn}`);
    await sender.stream.flush();
    ends[turn - 1]?.();
    const session = sessions[turn - 1];
    session?.goaway();
    session?.close();
    if (session && !session.destroyed) await once(session, "close");
  }
  assert.deepEqual(sender.acknowledged, ["1", "2", "3"]);
  assert.deepEqual(sender.reconnects, []);
  sender.stream.close();
  await new Promise((resolve) => server.close(resolve));
});
