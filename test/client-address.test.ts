import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createClientNamer } from "#gateway/http/client-name.ts";
import { startNginx } from "./support/nginx.ts";

test("the gateway sees the client address that Nginx saw, whatever the client claims", async (t) => {
  const readName = createClientNamer(["127.0.0.0/8"]);
  const gateway = createServer((request, response) => {
    response.end(`${readName(request)} ${String(request.headers["x-forwarded-for"])}`);
  });
  await once(gateway.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    gateway.closeAllConnections();
    gateway.close();
  });
  const { port } = gateway.address() as AddressInfo;
  await using nginx = await startNginx({
    servers: [{ grpc: "127.0.0.1:1", http: "127.0.0.1:1" }],
    gateways: [`127.0.0.1:${port}`],
  });
  const claims = {
    "x-forwarded-for": "203.0.113.9",
    "x-real-ip": "203.0.113.9",
    forwarded: "for=203.0.113.9",
  };
  for (const path of ["/v1/logs", "/v1/tail", "/v1/export", "/fleetlog.v1.QueryService/ListLogs"]) {
    const response = await fetch(`http://${nginx.http}${path}`, { headers: claims });
    assert.equal(await response.text(), "127.0.0.1 127.0.0.1", path);
  }
});
