import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { startGateway } from "../testing/start-gateway.ts";
import { startTailedGateway } from "./testing/tailed-gateway.ts";

/** Reads events as a browser does. */
async function listen(t: TestContext, url: string, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const response = await fetch(url, { headers, signal: abort.signal });
  let text = "";
  const read = async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
  };
  const ended = read().catch(() => {}); // aborted, at the latest when the test ends
  const events = () =>
    text
      .split("\n\n")
      .slice(0, -1)
      .map((block) => Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2))))
      .filter(({ event }) => event !== undefined) as { event: string; id: string; data: string }[];
  return {
    response,
    events,
    ended,
    text: () => text,
    messages: () =>
      events().flatMap(({ event, data }) =>
        event === "logs" ? JSON.parse(data).logs.logs.map((log: { message: string }) => log.message) : [],
      ),
    stop: () => abort.abort(),
  };
}

test("GET /v1/tail sends TailLogs as events with its JSON, whose ids resume at another gateway", async (t) => {
  const { gateway, start, append } = await startTailedGateway(t, { heartbeatMs: 50 });
  const url = `${gateway.url}/v1/tail?device_id=a&min_severity=warn`;
  const tail = await listen(t, url);
  assert.equal(tail.response.headers.get("content-type"), "text/event-stream");
  assert.equal(tail.response.headers.get("x-accel-buffering"), "no");
  await append("a", 1, [{ severity: 13, message: "one\nline" }, "not asked for"]);
  await waitFor("a record", () => tail.messages().length > 0);
  await waitFor("a heartbeat", () => tail.events().at(-1)?.event === "heartbeat");
  assert.match(tail.text(), /^retry: 1000\n\n/);
  assert.equal(tail.events()[0]?.event, "state");
  const logs = tail.events().find(({ event }) => event === "logs");
  const { logs: found, resumeToken } = JSON.parse(logs?.data ?? "{}");
  assert.equal(logs?.id, resumeToken);
  assert.equal(found.logs[0].severity, "SEVERITY_WARN");
  assert.equal(found.logs[0].message, "one\nline");
  await gateway.stop();
  await tail.ended;
  await append("a", 2, [{ severity: 13, message: "two" }]);
  const again = await listen(t, `${(await start()).url}/v1/tail?device_id=a&last=10`, {
    "last-event-id": logs?.id ?? "",
  });
  await append("a", 3, [{ severity: 13, message: "three" }]);
  await waitFor("what came meanwhile", () => again.messages().length >= 2);
  assert.deepEqual(again.messages(), ["two", "three"]);
});

test("an error before the stream begins is an ordinary error response", async (t) => {
  const { gateway } = await startTailedGateway(t, { tailsMax: 1 });
  const bad = await answer(`${gateway.url}/v1/tail?device=a`);
  assert.deepEqual([bad.status, bad.code], [400, "invalid_argument"]);
  assert.match(bad.message, /^device: unknown field/);
  const token = await answer(`${gateway.url}/v1/tail`, { headers: { "last-event-id": "junk" } });
  assert.deepEqual([token.status, token.code], [400, "invalid_argument"]);
  assert.equal((await answer(`${gateway.url}/v1/tail`, { method: "POST" })).status, 405);
  const first = await listen(t, `${gateway.url}/v1/tail`);
  const full = await answer(`${gateway.url}/v1/tail`);
  assert.deepEqual([full.status, full.code], [429, "resource_exhausted"]);
  first.stop();
  const open = gateway.registry.getSingleMetric("fleetlog_tails_open");
  await waitFor("the first to be let go", async () => (await open?.get())?.values[0]?.value === 0);
});

async function answer(url: string, init?: RequestInit) {
  const response = await fetch(url, init);
  return { status: response.status, ...((await response.json()) as { code: string; message: string }) };
}

test("a gateway without Redis responds that it has no live tail", async () => {
  await using gateway = await startGateway("postgres://absent@127.0.0.1:1/none");
  const response = await fetch(`${gateway.url}/v1/tail`);
  assert.equal(response.status, 501);
  assert.match(await response.text(), /live tail requires REDIS_URL/);
});
