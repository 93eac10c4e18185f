import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connectivityState } from "@grpc/grpc-js";
import { assertSameBytes, device, names } from "#client/testing/test-device.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { openChannel } from "#client/transports/grpc-channel.ts";
import { onFreePort } from "#dev/free-port.ts";
import { type RunningNginx, startNginx } from "#dev/nginx.ts";
import { waitFor } from "#test/support/wait-for.ts";

// A device behind an Nginx that ends connections as soon as they rest and after a few calls, which the project's own
// settings do not.

let folder: string;
let peer: TestPeer;
let nginx: RunningNginx;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetlog-moving-"));
  peer = await new TestPeer().start();
  nginx = await onFreePort((http) =>
    onFreePort((grpc) =>
      startNginx(folder, {
        httpListen: `127.0.0.1:${http}`,
        grpcListen: `127.0.0.1:${grpc}`,
        servers: [{ grpc: peer.address, http: "127.0.0.1:1" }],
        gateways: ["127.0.0.1:1"],
        workerProcesses: 1,
        workerConnections: 256,
        shutdownSeconds: 1,
      }),
    ),
  );
  const configFile = join(folder, "nginx", "nginx.conf");
  const config = await readFile(configFile, "utf8");
  const restless = config
    .replace("keepalive_timeout 10m;", "keepalive_timeout 1s;")
    .replace(/^ {2}keepalive_requests 1000000;/m, "  keepalive_requests 2;");
  assert.notEqual(restless, config);
  await writeFile(configFile, restless);
  process.kill(nginx.pid, "SIGHUP");
});
after(async () => {
  await nginx?.stop();
  peer?.kill();
  await rm(folder, { recursive: true, force: true });
});

test("survives every way in which a proxy ends connections: idle, after some calls, at a reload", async () => {
  using sender = device({ address: nginx.grpc });
  for (const [index, name] of names.entries()) {
    await sender.send(name);
    await sender.stream.flush();
    if (index % 10 === 4) peer.endStreams(); // at rest: the next batch begins another call, the third another connection
    if (index % 40 === 20) {
      process.kill(nginx.pid, "SIGHUP");
      const before = peer.streams;
      await waitFor("the stream's end", () => peer.openStreams === 0 && peer.streams === before);
    }
  }
  assert.deepEqual(sender.acknowledged, names);
  assertSameBytes(peer);
});

test("survives GOAWAY on a connection without any stream", async () => {
  const channel = openChannel(nginx.grpc);
  using sender = device({ channel });
  for (const name of names.slice(0, 2)) {
    await sender.send(name);
    await sender.stream.flush();
    peer.endStreams();
    const state = () => channel.getChannel().getConnectivityState(false);
    await waitFor("GOAWAY and the end of the connection", () => state() === connectivityState.IDLE);
  }
  channel.close();
  assert.deepEqual(sender.acknowledged, names.slice(0, 2));
  assert.deepEqual(sender.reconnects, []);
});
