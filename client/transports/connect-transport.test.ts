import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { device, names } from "#client/testing/test-device.ts";
import { ConnectTransport } from "#client/transports/connect-transport.ts";
import {
  AckSchema,
  GetSessionResponseSchema,
  PushLogsRequestSchema,
  PushLogsResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { Dropped } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { waitFor } from "#test/support/wait-for.ts";

interface Push {
  readonly sequence: bigint;
  readonly dropped: Dropped | undefined;
  readonly body: Buffer;
}

/** An ack, a response with its own status and body, or a destroyed connection. */
type Answer =
  | MessageInitShape<typeof AckSchema>
  | { status: number; body: string | Buffer }
  | "cut"
  | "silence";

/** A peer of PushLogs over HTTP/1.1 that behaves as the test demands. */
class ConnectPeer {
  readonly seen: Push[] = [];
  answer: (push: Push) => Answer = () => ({});
  session: MessageInitShape<typeof GetSessionResponseSchema> = {};
  sessionCalls = 0;
  open = 0;
  openMost = 0;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return this;
  }

  [Symbol.dispose](): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.openMost = Math.max(this.openMost, ++this.open);
    response.on("close", () => this.open--);
    const body = Buffer.concat(await request.toArray());
    const proto = (bytes: Uint8Array) => {
      response.writeHead(200, { "content-type": "application/proto" }).end(bytes);
    };
    if (request.url?.includes("GetSession")) {
      this.sessionCalls++;
      proto(toBinary(GetSessionResponseSchema, create(GetSessionResponseSchema, this.session)));
      return;
    }
    const { batch } = fromBinary(PushLogsRequestSchema, body);
    if (!batch) throw new Error("a request without a batch");
    const push = { sequence: batch.sequence, dropped: batch.dropped, body };
    this.seen.push(push);
    const answer = this.answer(push);
    if (answer === "silence") return;
    if (answer === "cut") request.socket.destroy();
    else if ("status" in answer) {
      response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
    } else {
      const ack = create(AckSchema, { sequence: batch.sequence, accepted: batch.records.length, ...answer });
      proto(toBinary(PushLogsResponseSchema, create(PushLogsResponseSchema, { ack })));
    }
  }
}

/** An error as Connect puts it. */
function failure(status: number, code: string, retrySeconds?: bigint): Answer {
  const info = create(RetryInfoSchema, { retryDelay: { seconds: retrySeconds ?? 0n, nanos: 5_000_000 } });
  const value = base64Encode(toBinary(RetryInfoSchema, info), "std_raw");
  const details = retrySeconds === undefined ? [] : [{ type: "google.rpc.RetryInfo", value }];
  return { status, body: JSON.stringify({ code, message: `says ${code}`, details }) };
}

/** Every batch that arrived twice must have arrived with the same bytes. */
function assertSameBytes(peer: ConnectPeer): void {
  const first = new Map<bigint, Buffer>();
  for (const { sequence, body, dropped } of peer.seen) {
    if (dropped) continue;
    assert.deepEqual(body, first.get(sequence) ?? body);
    first.set(sequence, body);
  }
}

describe("a device over Connect and HTTP/1.1", () => {
  test("acknowledges every batch once, with a few calls in parallel", async () => {
    using peer = await new ConnectPeer().start();
    using transport = new ConnectTransport({ baseUrl: peer.url, callsMax: 3 });
    using sender = device({ transport });
    await sender.send(...names);
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged.toSorted(), names.toSorted());
    assert.equal(peer.seen.length, names.length);
    assert.ok(peer.openMost <= 3, `${peer.openMost} at once`);
    assert.deepEqual(sender.reconnects, []);
  });

  test("resends the same bytes when a call gets no response", async () => {
    using peer = await new ConnectPeer().start();
    let cuts = 0;
    peer.answer = () => (peer.seen.length % 7 === 0 && cuts++ < 10 ? "cut" : {});
    using transport = new ConnectTransport({ baseUrl: peer.url });
    using sender = device({ transport });
    await sender.send(...names);
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged.toSorted(), names.toSorted());
    assert.notEqual(sender.reconnects.length, 0);
    assertSameBytes(peer);
  });

  test("treats an error about a batch as its outcome, and one with RetryInfo as a postponement", async () => {
    using peer = await new ConnectPeer().start();
    const later = new Set([2n, 3n]);
    peer.answer = ({ sequence, dropped }) => {
      if (later.delete(sequence)) {
        return sequence === 2n ? failure(429, "resource_exhausted", 0n) : failure(503, "unavailable", 0n);
      }
      return sequence === 4n && !dropped ? failure(400, "invalid_argument") : {};
    };
    using transport = new ConnectTransport({ baseUrl: peer.url });
    using sender = device({ transport });
    await sender.send("1", "2", "3", "4", "5");
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged.toSorted(), ["1", "2", "3", "5"]);
    assert.deepEqual(sender.delayed.toSorted(), ["2: says resource_exhausted", "3: says unavailable"]);
    assert.deepEqual(sender.refused, ["4: says invalid_argument"]);
    assert.equal(peer.seen.filter(({ dropped }) => dropped).length, 1);
    assert.deepEqual(sender.reconnects, []);
    assertSameBytes(peer);
  });

  for (const [what, answer] of [
    ["an answer for another batch", { sequence: 77n }],
    ["an answer that is no message", { status: 200, body: Buffer.alloc(100, 0xff) }],
    ["an HTML page of a proxy", { status: 502, body: "<html>bad gateway</html>" }],
    ["an unknown error", { status: 500, body: '{"code":"data_loss"}' }],
    ["unavailable, without a time", failure(503, "unavailable")],
    ["silence", "silence"],
  ] as const) {
    test(`continues after ${what}`, async () => {
      using peer = await new ConnectPeer().start();
      peer.answer = () => (peer.seen.length <= 2 ? answer : {});
      using transport = new ConnectTransport({ baseUrl: peer.url });
      using sender = device({ transport, ackTimeoutMs: answer === "silence" ? 200 : 10_000 });
      await sender.send("1", "2", "3");
      await sender.stream.flush();
      assert.deepEqual(sender.acknowledged.toSorted(), ["1", "2", "3"]);
      assert.notEqual(sender.reconnects.length, 0);
      assertSameBytes(peer);
    });
  }

  test("polls until everything is committed", async () => {
    using peer = await new ConnectPeer().start();
    using transport = new ConnectTransport({ baseUrl: peer.url });
    using sender = device({ transport, keepUntil: "committed", commitPollMs: 5 });
    await sender.send("1", "2", "3");
    await waitFor("questions", () => sender.acknowledged.length === 3 && peer.sessionCalls > 2);
    assert.deepEqual(sender.committed, []);
    peer.session = { committedRanges: [{ first: 1n, last: 3n }], committedThrough: 3n };
    await sender.stream.flush();
    assert.deepEqual(sender.committed, ["1", "2", "3"]);
    assert.equal(peer.seen.length, 3);
  });

  test("fails when retrying cannot help", async () => {
    using peer = await new ConnectPeer().start();
    peer.answer = () => failure(403, "permission_denied");
    using transport = new ConnectTransport({ baseUrl: peer.url });
    using sender = device({ transport });
    await assert.rejects(
      sender.send("1").then(() => sender.stream.flush()),
      /PERMISSION_DENIED: says permission_denied/,
    );
  });
});
