import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { encodeRecord } from "#client/stream/record.ts";
import { PushLogsRequestSchema, PushLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { cDevice, whyNoC } from "#test/support/c-client.ts";
import { DeviceProgram } from "#test/support/device-program.ts";

// The C client against servers and proxies that break the rules of HTTP or of the contract, on a real socket.

const noC = await whyNoC();
/** The first run after a change compiles. */
const timeout = 600_000;

/** What a request gets: bytes, one piece after the other, and whether the connection then ends. */
interface Answer {
  readonly pieces: readonly (string | Buffer)[];
  readonly ends?: boolean;
}

const respond = (status: string, headers: readonly string[], body: string | Buffer = "") =>
  Buffer.concat([
    Buffer.from([`HTTP/1.1 ${status}`, ...headers, "", ""].join("\r\n")),
    Buffer.from(body as string),
  ]);
const sized = (status: string, body: string | Buffer, ...headers: string[]) =>
  respond(status, [...headers, `Content-Length: ${Buffer.byteLength(body)}`], body);
const acknowledge = (sequence: bigint, accepted = 1) =>
  Buffer.from(
    toBinary(PushLogsResponseSchema, create(PushLogsResponseSchema, { ack: { sequence, accepted } })),
  );
const refusal = sized("400 Bad Request", '{"code":"invalid_argument","message":"batch is not yours"}');

const behaviours: Readonly<Record<string, (sequence: bigint) => Answer>> = {
  "answers 204": () => ({ pieces: [respond("204 No Content", [])] }),
  "answers 200 without a body": () => ({ pieces: [sized("200 OK", "")] }),
  redirects: () => ({ pieces: [sized("301 Moved", "", "Location: https://127.0.0.1/")] }),
  "has a page of its own for 404": () => ({ pieces: [sized("404 Not Found", '<a href="x">\n')] }),
  "has a page of its own for 400": () => ({
    pieces: [sized("400 Bad Request", "<h1>invalid_argument</h1>")],
  }),
  "is a portal that answers everything with 200": () => ({
    pieces: [sized("200 OK", "<html>Log in</html>")],
  }),
  "asks for a second by 429": () => ({ pieces: [sized("429 x", "", "Retry-After: 1")] }),
  "asks for a second by 503, in chunks": () => ({
    pieces: [respond("503 x", ["Retry-After: 1", "Transfer-Encoding: chunked"], "0\r\n\r\n")],
  }),
  "compresses without being asked": (sequence) => ({
    pieces: [sized("200 OK", gzipSync(acknowledge(sequence)), "Content-Encoding: gzip")],
  }),
  "acknowledges another batch": (sequence) => ({ pieces: [sized("200 OK", acknowledge(sequence + 1n))] }),
  "announces more than it sends": (sequence) => ({
    pieces: [respond("200 OK", ["Content-Length: 99"], acknowledge(sequence))],
    ends: true,
  }),
  "announces two lengths": (sequence) => ({
    pieces: [sized("200 OK", acknowledge(sequence), "Content-Length: 2")],
  }),
  "announces a negative length": () => ({ pieces: [respond("200 OK", ["Content-Length: -1"])] }),
  "ends within the header": () => ({ pieces: ["HTTP/1.1 200 OK\r\nContent-Le"], ends: true }),
  "ends within an acknowledgement without a length": (sequence) => ({
    pieces: [respond("200 OK", [], acknowledge(sequence).subarray(0, -1))],
    ends: true,
  }),
  "ends within a chunk": () => ({
    pieces: [respond("200 OK", ["Transfer-Encoding: chunked"], "6\r\n\x0a")],
    ends: true,
  }),
  "has chunks of any size": () => ({
    pieces: [respond("200 OK", ["Transfer-Encoding: chunked"], "fffffff\r\n")],
  }),
  "has an endless header": () => ({ pieces: [`HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(20_000)}`] }),
  "has endless interim responses": () => ({ pieces: ["HTTP/1.1 100 Continue\r\n\r\n".repeat(4_000)] }),
  "switches protocols and says no more": () => ({
    pieces: ["HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n"],
  }),
  "speaks HTTP/2": () => ({ pieces: [Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])] }),
  "ends at once": () => ({ pieces: [], ends: true }),
};

/** Behaviours that a client has to see through: the batch is acknowledged by this very answer. */
const curious: Readonly<Record<string, (sequence: bigint) => Answer>> = {
  "answers byte by byte": (sequence) => ({
    pieces: [...sized("200 OK", acknowledge(sequence))].map((byte) => Buffer.from([byte])),
  }),
  "sends interim responses before": (sequence) => ({
    pieces: [
      "HTTP/1.1 100 Continue\r\n\r\n",
      "HTTP/1.1 103 x\r\nContent-Length: 9\r\n\r\n",
      sized("200 OK", acknowledge(sequence)),
    ],
  }),
  "refuses, in the same piece as its acknowledgement, a batch that was not sent": (sequence) => ({
    pieces: [Buffer.concat([sized("200 OK", acknowledge(sequence)), refusal])],
  }),
  "has chunks with extensions and trailers": (sequence) => ({
    pieces: [
      respond("200 OK", ["Transfer-Encoding: Chunked"], "4;a=b\r\n"),
      acknowledge(sequence).subarray(0, 4),
      "\r\n2\r\n",
      acknowledge(sequence).subarray(4),
      "\r\n0\r\nTrailer: x\r\n\r\n",
    ],
  }),
  "says no length and ends": (sequence) => ({
    pieces: [respond("200 OK", [], acknowledge(sequence))],
    ends: true,
  }),
  "has a header line that is too long": (sequence) => ({
    pieces: [sized("200 OK", acknowledge(sequence), `X: ${"y".repeat(5_000)}`)],
  }),
};

describe("a device in C and a server that", { concurrency: 3, skip: noC ?? false, timeout }, () => {
  for (const [what, behave] of Object.entries(behaviours)) {
    test(what, async () => {
      const { device, seen } = await run(behave, 2);
      assert.ok(seen.length >= batches + 2, `${seen.length} requests`);
      assert.deepEqual(device.all("failed"), []);
    });
  }
  for (const [what, behave] of Object.entries(curious)) {
    test(what, async () => {
      const { seen } = await run(behave, batches);
      assert.equal(seen.length, batches);
    });
  }

  test("refuses, while the device rests, a batch that was not sent", async () => {
    const { device } = await run(acknowledged, 0, async (sockets) => {
      for (const socket of sockets)
        if (socket.writable) await new Promise<void>((resolve) => socket.write(refusal, () => resolve()));
    });
    assert.equal(device.all("reconnect").length, batches - 1);
  });
});

const batches = 10;
const acknowledged = (sequence: bigint): Answer => ({ pieces: [sized("200 OK", acknowledge(sequence))] });

/** Sends ten batches; the server misbehaves on as many requests. With `whileResting`, a batch at a time. */
async function run(
  behave: (sequence: bigint) => Answer,
  times: number,
  whileResting?: (sockets: Iterable<Socket>) => Promise<void>,
) {
  const seen: { sequence: bigint; content: string }[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {})); // the client may end it at any time
    socket.setNoDelay(true);
    onRequests(socket, async (body) => {
      const { batch } = fromBinary(PushLogsRequestSchema, body);
      const { sequence, records } = batch!;
      seen.push({ sequence, content: JSON.stringify(records.map(({ message }) => message)) });
      const answer = seen.length <= times ? behave(sequence) : acknowledged(sequence);
      for (const piece of answer.pieces) {
        socket.write(piece);
        await new Promise(setImmediate); // else the kernel puts them together
      }
      if (answer.ends) socket.end();
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const http = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const flags = ["--ack-timeout-ms", "400"];
  const options = { deviceId: "hostile", session: "boot-1", grpc: "", http, flags };
  const device = new DeviceProgram(await cDevice(), options);
  try {
    for (let turn = 1; turn <= batches; turn += 1) {
      device.send([encodeRecord({ message: `batch ${turn}` })]);
      if (whileResting) await device.waitFor("acknowledged", turn);
      await whileResting?.(sockets);
    }
    await device.finish();
  } finally {
    await device.kill();
    server.close();
    for (const socket of sockets) socket.destroy();
  }
  assert.deepEqual(
    device.all("acknowledged").map(({ id }) => id),
    Array.from({ length: batches }, (_, index) => index + 1),
  );
  assert.deepEqual([...device.all("refused"), ...device.all("dropped")], []);
  for (const { sequence, content } of seen) assert.equal(content, `["batch ${sequence}"]`);
  return { device, seen };
}

/** Calls for each whole body of HTTP/1.1 on the connection. */
function onRequests(socket: Socket, onBody: (body: Buffer) => Promise<void>): void {
  let received = Buffer.alloc(0);
  socket.on("data", (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    const header = received.indexOf("\r\n\r\n");
    const length = /^content-length: (\d+)\r$/im.exec(received.toString("latin1"))?.[1];
    if (header === -1 || length === undefined || received.length < header + 4 + Number(length)) return;
    const body = received.subarray(header + 4);
    received = Buffer.alloc(0);
    void onBody(body);
  });
}
