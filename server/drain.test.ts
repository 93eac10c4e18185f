import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectSocket } from "node:net";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { waitFor } from "#test/support/wait-for.ts";
import { streamLimits } from "./streams/batch-pipeline.ts";
import { encodeRequest, makeBatch } from "./testing/batches.ts";
import { connectGrpc, openStream } from "./testing/grpc-device.ts";
import { startServerAndRedis } from "./testing/server-program.ts";

test("a stopping server answers what it has read, ends its streams with UNAVAILABLE, and exits 0", async (t) => {
  const { server, entries } = await startServerAndRedis(t);
  const stream = openStream(connectGrpc(t, server.grpc));
  let sent = 0;
  const sender = setInterval(() => {
    for (let i = 0; i < 20; i++) stream.send(encodeRequest(makeBatch(++sent, { sessionId: "drained" })));
  }, 1);
  t.after(() => clearInterval(sender));
  await waitFor("some acks", () => stream.acks.length > 50);
  process.kill(server.pid, "SIGTERM");
  const { code, details } = await stream.ended;
  clearInterval(sender);
  assert.equal(code, status.UNAVAILABLE);
  assert.match(details, /reconnect/);
  assert.equal(await server.exited, 0);
  const acked = stream.acks.map(({ sequence }) => Number(sequence));
  assert.deepEqual(
    acked,
    acked.map((_, i) => i + 1),
    "acks in order, without a gap",
  );
  const stored = (await entries("drained")).map(({ sequence }) => Number(sequence));
  assert.deepEqual(stored, acked, "what is stored is what was acknowledged");
});

test("a device that does not read cannot keep the server from stopping", async (t) => {
  const { server } = await startServerAndRedis(t);
  const stalled = openStream(connectGrpc(t, server.grpc));
  await new Promise((resolve) => stalled.call.once("metadata", resolve));
  stalled.call.pause();
  const many = makeBatch(1, { records: Array.from({ length: 5_000 }, () => ({ message: "\0" })) });
  const rejectionsMax = Buffer.from([4 * 8, 100]); // the field of that name
  // Acks that list 100 rejections fill the window.
  for (let n = 1; n <= 40; n++) stalled.send(Buffer.concat([encodeRequest(many), rejectionsMax]));
  const { batchesMax } = streamLimits;
  await waitFor("all it may have", async () => (await server.metric("fleetlog_batches_total")) >= batchesMax);
  process.kill(server.pid, "SIGTERM");
  assert.equal(await server.exited, 0);
  assert(server.log.some(({ step, msg }) => step === "drain" && msg === "failed to stop"));
});

test("an idle server with open connections stops", async (t) => {
  const { server } = await startServerAndRedis(t);
  const stream = openStream(connectGrpc(t, server.grpc));
  await new Promise((resolve) => stream.call.once("metadata", resolve));
  await (await fetch(`http://${server.http}/`)).text(); // a kept-alive connection
  process.kill(server.pid, "SIGTERM");
  assert.equal((await stream.ended).code, status.UNAVAILABLE);
  assert.equal(await server.exited, 0);
});

test("a connection that is reset while the server stops does not cost the others their end", async (t) => {
  const { server } = await startServerAndRedis(t);
  const [host = "", port] = server.http.split(":");
  const reset = connectSocket(Number(port), host);
  reset.write("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await once(reset, "data"); // kept alive from here on

  const session = connectHttp2(`http://${server.grpc}`);
  const errors: Error[] = [];
  session.on("error", (error) => errors.push(error));
  t.after(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": "/fleetlog.v1.IngestService/StreamLogs",
    "content-type": "application/grpc",
  });
  stream.on("error", (error) => errors.push(error));
  stream.resume();
  await once(stream, "response");
  const trailers = once(stream, "trailers");
  const goaway = once(session, "goaway");
  process.kill(server.pid, "SIGTERM");
  const [[{ "grpc-status": code }]] = await Promise.all([trailers, goaway]);
  assert.equal(Number(code), status.UNAVAILABLE);
  reset.resetAndDestroy();
  // Half of this stream is still open, and the server waits for it. By the last answer it has seen the reset.
  for (let n = 0; n < 5; n++) {
    await new Promise<void>((resolve, reject) =>
      session.ping((error) => (error ? reject(error) : resolve())),
    );
  }
  const closed = once(session, "close");
  stream.end();
  await closed;
  assert.equal(await server.exited, 0);
  assert.deepEqual(errors, []);
  assert(!server.log.some(({ msg }) => msg === "failed to stop"));
});
