import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect, type Server } from "node:net";
import { test } from "node:test";
import { unknownCaller } from "#rpc/admission.ts";
import { createHttpListener } from "#rpc/http-listener.ts";
import { flag, frame, frameType, headerBlock, preface, settings } from "#test/fuzz/http2-frames.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { startServerAndRedis } from "./testing/server-program.ts";

const options = {
  admit: () => unknownCaller,
  windowBytes: { stream: 1 << 16, connection: 1 << 18 },
  pingIntervalMs: 20,
};

test("a connection that sends GOAWAY, breaks the protocol and disconnects is closed", async (t) => {
  const listener = createHttpListener({ http1() {}, http2() {} }, options);
  t.after(() => listener.destroy());
  await new Promise<void>((resolve) => listener.server.listen(0, "127.0.0.1", resolve));
  t.after(() => listener.server.close());
  const { port } = listener.server.address() as AddressInfo;
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
  await waitFor("the connection", async () => (await connections(listener.server)) === 1);
  socket.destroy();
  await waitFor("its end", async () => (await connections(listener.server)) === 0);
  assert.ok(listener.server.listening);
});

test("a connection that answers pings stays open, however long it is idle", async (t) => {
  const listener = createHttpListener(
    { http1: (_request, response) => response.end("here"), http2() {} },
    options,
  );
  t.after(() => listener.destroy());
  await new Promise<void>((resolve) => listener.server.listen(0, "127.0.0.1", resolve));
  t.after(() => listener.server.close());
  const { port } = listener.server.address() as AddressInfo;
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  let pings = 0;
  session.on("ping", () => (pings += 1));
  await waitFor("five pings", () => pings >= 5);
  assert.equal(session.destroyed, false);
});

test("a connection that starts with too few bytes to detect its protocol blocks no other, and then continues", async (t) => {
  const { server } = await startServerAndRedis(t);
  const [host = "", port] = server.http.split(":");
  const first = connect({ host, port: Number(port), noDelay: true });
  t.after(() => first.destroy());
  await once(first, "connect");
  first.write("P");
  const received = once(first, "data");
  const ready = await fetch(`http://${server.admin}/readyz`, { signal: AbortSignal.timeout(20_000) });
  assert.equal(ready.status, 200);
  first.write("OST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  assert.match(String((await received)[0]), /^HTTP\/1\.1 404 /);
});

function connections(server: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => {
      if (error) reject(error);
      else resolve(count);
    }),
  );
}
