import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createAdminServer, listen } from "./admin-server.ts";
import { Counter, createRegistry } from "./metrics.ts";
import { Readiness } from "./readiness.ts";

const readiness = new Readiness(["redis", "postgres"]);
const registry = createRegistry("example");
const server = createAdminServer(readiness, registry);
let base: string;

before(async () => {
  base = `http://127.0.0.1:${(await listen(server, { host: "127.0.0.1", port: 0 })).port}`;
});
after(() => server.close());

test("/livez answers while the process runs", async () => {
  const response = await fetch(`${base}/livez`);
  assert.equal(response.status, 200);
});

test("is ready when no component objects, and otherwise names each reason", async () => {
  readiness.notReady("redis", "appendfsync is everysec, expected always");
  const objecting = await fetch(`${base}/readyz`);
  assert.equal(objecting.status, 503);
  assert.equal(
    await objecting.text(),
    "redis: appendfsync is everysec, expected always\npostgres: starting\n",
  );

  readiness.ready("redis");
  readiness.ready("postgres");
  const ready = await fetch(`${base}/readyz?verbose=1`);
  assert.equal(ready.status, 200);
});

test("serves its metrics, labelled with the program", async () => {
  new Counter({ name: "fleetlog_examples_total", help: "Examples.", registers: [registry] }).inc();
  const text = await (await fetch(`${base}/metrics`)).text();
  assert.match(text, /^fleetlog_examples_total\{program="example"\} 1$/m);
});

test("answers 404 to everything else", async () => {
  assert.equal((await fetch(`${base}/nothing`)).status, 404);
});
