import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { after, before, test } from "node:test";
import { listLogsPath, startWithTwoHosts } from "../testing/two-hosts.ts";

const friend = "https://logs.example.com";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts({ corsOrigins: [friend, "http://localhost:5173"] });
});
after(() => gateway[Symbol.asyncDispose]());

/** By node:http, for fetch keeps the headers of CORS to itself. */
async function ask(method: string, path: string, headers: Record<string, string>, url = gateway.url) {
  const asked = request(url + path, { method, headers }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  return { status: response.statusCode, headers: response.headers };
}

const allowedOrigin = (headers: IncomingHttpHeaders) => headers["access-control-allow-origin"];

test("a page of an allowed origin may read, over every transport, answers and errors, and see what it needs", async () => {
  for (const path of [
    "/",
    "/v1/logs",
    "/v1/export",
    "/openapi.json",
    "/v1/devices/unknown",
    "/v1/logs?page_size=-1",
    "/v1/export?format=xml",
    "/v1/nothing",
    "/fleetlog.v1.QueryService/Nothing",
    `/v1/logs?text=${"x".repeat(40_000)}`,
  ]) {
    const { headers } = await ask("GET", path, { origin: friend });
    assert.equal(allowedOrigin(headers), friend, path);
    assert.match(String(headers.vary), /origin/);
    assert.match(String(headers["access-control-expose-headers"]), /Grpc-Status.*ETag.*Retry-After/i);
    assert.equal(headers["access-control-allow-credentials"], undefined);
  }
  const wrongMethod = await ask("DELETE", "/v1/logs", { origin: friend });
  assert.deepEqual([wrongMethod.status, allowedOrigin(wrongMethod.headers)], [405, friend]);
  const wrongHost = await ask("GET", "/v1/logs", { origin: friend, host: "evil.example" });
  assert.deepEqual([wrongHost.status, allowedOrigin(wrongHost.headers)], [421, friend]);
  const page = await ask("GET", "/docs", { origin: friend });
  assert.deepEqual([page.status, allowedOrigin(page.headers)], [200, friend]);
  assert.match(String(page.headers.vary), /origin.*accept, accept-encoding/);
});

test("a preflight request is answered with what is allowed", async () => {
  const preflight = {
    origin: friend,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type",
  };
  for (const path of [listLogsPath, "/v1/logs", "/v1/export", "/v1/nothing"]) {
    const { status, headers } = await ask("OPTIONS", path, preflight);
    assert.deepEqual([status, allowedOrigin(headers)], [204, friend], path);
    assert.match(String(headers["access-control-allow-methods"]), /POST.*GET.*HEAD/);
    assert.match(
      String(headers["access-control-allow-headers"]),
      /Content-Type.*Connect-Protocol-Version.*Connect-Timeout-Ms.*Last-Event-ID.*Traceparent/i,
    );
  }
});

test("a page of any other origin gets nothing from its browser", async () => {
  for (const origin of [
    "https://evil.example",
    "null",
    `${friend}.evil.example`,
    "http://logs.example.com",
  ]) {
    const { headers } = await ask("GET", "/v1/logs", { origin });
    assert.equal(allowedOrigin(headers), undefined, origin);
    assert.match(String(headers.vary), /origin/);
    const preflight = await ask("OPTIONS", "/v1/logs", { origin, "access-control-request-method": "GET" });
    assert.deepEqual([preflight.status, allowedOrigin(preflight.headers)], [204, undefined]);
    assert.equal(preflight.headers["access-control-allow-methods"], undefined);
  }
  for (const path of ["/metrics", "/livez", "/readyz"]) {
    assert.equal(allowedOrigin((await ask("GET", path, { origin: friend })).headers), undefined, path);
  }
});

test("no origin is allowed by default; the star allows all", async () => {
  await using closed = await startWithTwoHosts();
  assert.equal(
    allowedOrigin((await ask("GET", "/v1/logs", { origin: friend }, closed.url)).headers),
    undefined,
  );
  await using open = await startWithTwoHosts({ corsOrigins: ["*"] });
  const { headers } = await ask("GET", "/v1/logs", { origin: "https://any.example" }, open.url);
  assert.equal(allowedOrigin(headers), "https://any.example");
});
