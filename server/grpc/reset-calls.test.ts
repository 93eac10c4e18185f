import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, test } from "node:test";
import { flag, frame, frameType, headerBlock, number32, preface, settings } from "#test/fuzz/http2-frames.ts";
import { encodeRequest, makeBatch } from "../testing/batches.ts";
import { connectGrpc, pushGrpc } from "../testing/grpc-device.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const { server } = await startServerAndRedis({ after });

test("calls that are cancelled as soon as they are made disturb no other call, whatever their method", async (t) => {
  const [internalError, cancel] = [2, 8];
  for (const [path, contentType, code] of [
    ["/fleetlog.v1.IngestService/PushLogs", "text/html", cancel],
    ["/fleetlog.v1.IngestService/PushLogs", "application/grpc", cancel],
    ["/fleetlog.v1.IngestService/StreamLogs", "application/grpc", internalError],
    ["/nothing", "application/grpc", cancel],
    ["/nothing", "application/grpc", internalError],
    ["/grpc.health.v1.Health/Check", "application/grpc", cancel],
    ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "application/grpc", internalError],
  ] as const) {
    const block = headerBlock([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", "localhost"],
      ["content-type", contentType],
      ["te", "trailers"],
    ]);
    const calls = Array.from({ length: 300 }, (_, index) => [
      frame(frameType.headers, flag.endHeaders, 2 * index + 1, block),
      frame(frameType.rstStream, 0, 2 * index + 1, number32(code)),
    ]);
    const [host = "", port] = server.grpc.split(":");
    const socket = connect({ host, port: Number(port) });
    socket.on("error", () => {}); // it may end the connection for this
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume();
    // One call in a piece of its own, then all the others in one.
    for (const piece of [[preface, settings()], calls[0]!, calls.slice(1).flat()]) {
      await new Promise((resolve) => socket.write(Buffer.concat(piece), resolve));
    }
    socket.end();
    await closed;
    // The cancellation in a piece after the call: its handler may have begun.
    const late = connect({ host, port: Number(port), noDelay: true });
    late.on("error", () => {});
    const lateClosed = new Promise((resolve) => late.once("close", resolve));
    late.resume();
    late.write(Buffer.concat([preface, settings()]));
    for (const piece of calls.slice(0, 100).flat()) {
      late.write(piece);
      await new Promise(setImmediate);
    }
    late.end();
    await lateClosed;
  }
  const request = encodeRequest(makeBatch(1, { sessionId: "after" }));
  assert.equal((await pushGrpc(connectGrpc(t, server.grpc), request))?.accepted, 1);
});
