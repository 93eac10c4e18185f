import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { createGunzip } from "node:zlib";
import { pino } from "pino";
import { createExportHandler } from "#gateway/export/export-handler.ts";
import { createRefusedCallsCounter } from "#gateway/fairness/refused-calls.ts";
import { startWithTwoHosts } from "#gateway/testing/two-hosts.ts";
import { createRegistry } from "#lib/metrics.ts";
import { startNginx, type TestNginx } from "./support/nginx.ts";
import { waitFor } from "./support/wait-for.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
let nginx: TestNginx;
before(async () => {
  gateway = await startWithTwoHosts();
  nginx = await startNginx({ servers: [nowhere], gateways: [`127.0.0.1:${gateway.port}`] });
  const receivedMicros = 1_767_225_600_000_000n;
  await gateway.seed(
    Array.from({ length: 12 }, (_, batch) => ({
      deviceId: "verbose",
      receivedMicros,
      records: Array.from({ length: 1000 }, (_, place) => ({
        timeMicros: receivedMicros + BigInt(batch * 1000 + place),
        message: `${batch} ${place} ${"long ".repeat(600)}`,
      })),
    })),
  );
});
after(async () => {
  await nginx[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
});

const nowhere = { grpc: "127.0.0.1:1", http: "127.0.0.1:1" };
const path = "/v1/export?device_id=verbose";

async function begin(through: string, encoding: string): Promise<IncomingMessage> {
  const asked = request(`http://${through}${path}`, { headers: { "accept-encoding": encoding } }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return response;
}

test("an export arrives complete through Nginx, gzipped for clients that accept gzip", async () => {
  const direct = await readText((await fetch(`${gateway.url}${path}`)).body as ReadableStream);
  assert.equal(direct.split("\n").length, 12_001);
  const plain = await begin(nginx.http, "identity");
  assert.equal(plain.headers["content-encoding"], undefined);
  assert.ok((await readText(plain)) === direct);
  assert.ok(plain.complete);
  const gzipped = await begin(nginx.http, "gzip");
  assert.equal(gzipped.headers["content-encoding"], "gzip");
  assert.match(String(gzipped.headers["content-disposition"]), /^attachment; /);
  assert.ok((await readText(gzipped.pipe(createGunzip()))) === direct);
  assert.ok(gzipped.complete);
});

// If Nginx took all of it off the gateway's hands, it would lie on Nginx's disk, and count as complete.
test("Nginx reads only as fast as the client, and an interrupted export is recognisable", async (t) => {
  const registry = createRegistry("test");
  const handle = createExportHandler({
    readPool: gateway.readPool,
    exportsMax: 1,
    stalledMsMax: 1000,
    refused: createRefusedCallsCounter(registry),
    registry,
    logger: pino({ level: "silent" }),
  });
  const server = createServer((incoming, response) => void handle(incoming, response, { client: "client" }));
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  await using before = await startNginx({ servers: [nowhere], gateways: [`127.0.0.1:${port}`] });
  const response = await begin(before.http, "identity");
  const ended = await waitFor("the export to end", async () => {
    const [, result] = /^fleetlog_exports_total\{result="(\w+)"/m.exec(await registry.metrics()) ?? [];
    return result;
  });
  assert.equal(ended, "failed");
  await assert.rejects(readText(response), /aborted|terminated|socket hang up/);
  assert.equal(response.complete, false);
});
