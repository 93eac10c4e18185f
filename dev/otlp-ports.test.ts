import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { reserveOtlpPorts } from "./otlp-ports.ts";

const host = "127.0.0.1";

test("a usual port that a collector has is left out with a note, a chosen one is an error", async (t) => {
  const collector = createServer().listen(0, host);
  t.after(() => collector.close());
  await once(collector, "listening");
  const { port } = collector.address() as AddressInfo;
  await using usual = await reserved({}, { grpc: port, http: 0 });
  assert.equal(usual.listeners.grpcListen, undefined);
  assert.match(usual.listeners.httpListen ?? "", /^127\.0\.0\.1:/);
  assert.equal(usual.notes.length, 1);
  assert.match(usual.notes[0]!, new RegExp(`^Port ${port} is in use .*FLEETLOG_OTLP_GRPC_PORT=off`));
  await assert.rejects(reserved({ FLEETLOG_OTLP_GRPC_PORT: String(port) }), {
    message: new RegExp(`Port ${port} is in use .*FLEETLOG_OTLP_GRPC_PORT=${port + 1}`),
  });
});

test("off leaves a port out without a word; anything else that is no port is an error", async () => {
  const off = { FLEETLOG_OTLP_GRPC_PORT: "off", FLEETLOG_OTLP_HTTP_PORT: "off" };
  await using none = await reserved(off);
  assert.deepEqual([none.listeners, none.notes], [{ grpcListen: undefined, httpListen: undefined }, []]);
  await assert.rejects(
    reserved({ ...off, FLEETLOG_OTLP_HTTP_PORT: "none" }),
    /FLEETLOG_OTLP_HTTP_PORT="none"/,
  );
});

async function reserved(env: Record<string, string>, usual?: { grpc: number; http: number }) {
  const ports = await reserveOtlpPorts(env, host, usual);
  const release = () => Promise.all(ports.reserved.map((port) => port[Symbol.asyncDispose]()));
  return { ...ports, [Symbol.asyncDispose]: async () => void (await release()) };
}
