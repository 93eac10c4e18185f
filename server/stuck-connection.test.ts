import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect, type Server } from "node:net";
import { test } from "node:test";
import { flag, frame, frameType, headerBlock, preface, settings } from "#test/fuzz/http2-frames.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createHttpFace } from "./connect/http-server.ts";

test("a connection that says goodbye, breaks the protocol and goes is not kept for ever", async (t) => {
  const face = createHttpFace(() => {}, { pingIntervalMs: 20 });
  t.after(() => face.destroy());
  await new Promise<void>((resolve) => face.server.listen(0, "127.0.0.1", resolve));
  t.after(() => face.server.close());
  const { port } = face.server.address() as AddressInfo;
  const headers = headerBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "fleetlog"],
  ]);
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  socket.write(
    Buffer.concat([
      preface,
      settings(),
      frame(frameType.headers, flag.endHeaders, 1, headers),
      frame(frameType.goaway, 0, 0, Buffer.alloc(8)),
      frame(frameType.continuation, flag.endHeaders, 3, headers),
    ]),
  );
  await waitFor("the connection", async () => (await connections(face.server)) === 1);
  socket.destroy();
  await waitFor("its end", async () => (await connections(face.server)) === 0);
  assert.ok(face.server.listening);
});

test("a connection that answers is kept, however long it is idle", async (t) => {
  const face = createHttpFace((_request, response) => response.end("here"), { pingIntervalMs: 20 });
  t.after(() => face.destroy());
  await new Promise<void>((resolve) => face.server.listen(0, "127.0.0.1", resolve));
  t.after(() => face.server.close());
  const { port } = face.server.address() as AddressInfo;
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  let pings = 0;
  session.on("ping", () => (pings += 1));
  await waitFor("five pings", () => pings >= 5);
  assert.equal(session.destroyed, false);
});

function connections(server: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => {
      if (error) reject(error);
      else resolve(count);
    }),
  );
}
