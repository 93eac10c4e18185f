import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { toJson } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type LogEntry, LogEntrySchema, QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { startSystem, type TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

let system: TestSystem;
before(async () => {
  system = await startSystem();
});
after(() => system[Symbol.asyncDispose]());

const records = [
  {
    message: "numbers",
    attributes: { temp: 21.5, big: "9", ok: true, none: null, firmware: "of the record" },
  },
  { message: "no attributes of its own", timeUnixNano: "1767225600123456789", severity: 14 },
  { message: "words of the source", severity: "WARN", severityText: "notice", eventName: "boot" },
  { message: "uptime", uptimeNano: "5000000000" },
  { message: "later", uptimeNano: "6500000000", observedTimeUnixNano: "1767225600000000000" },
  { message: "observed", observedTimeUnixNano: "1767225600000000000" },
  {
    message: "an integer",
    attributes: [
      { key: "n", intValue: "9007199254740993" },
      { key: "d", doubleValue: 1e300 },
    ],
  },
  { message: "\\", attributes: { "a\\b": "\u2028", ["__proto__"]: 1 } },
];

test("a record is the same in a live tail, before it is stored, and in a list and an export afterwards", async () => {
  const client = createClient(
    QueryService,
    createConnectTransport({ baseUrl: system.httpUrl, httpVersion: "1.1" }),
  );
  const abort = new AbortController();
  const tailed: LogEntry[] = [];
  let isFollowing = false;
  const tail = (async () => {
    for await (const { event } of client.tailLogs({ filter: { deviceId: "d" } }, { signal: abort.signal })) {
      isFollowing = true;
      if (event.case === "logs") tailed.push(...event.value.logs);
    }
  })().catch(() => {}); // aborted below
  await waitFor("the tail to follow", () => isFollowing);
  const batch = {
    deviceId: "d",
    sessionId: "boot",
    sequence: 1,
    attributes: { firmware: "2.1.0", slot: 3 },
    records,
  };
  const response = await fetch(`${system.httpUrl}/fleetlog.v1.IngestService/PushLogs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ batch }),
  });
  assert.equal(response.status, 200, await response.text());
  await waitFor("all in the tail", () => tailed.length >= records.length);
  const listed = await waitFor("all in the list", async () => {
    const { logs } = await client.listLogs({ filter: { deviceId: "d" }, pageSize: 100 });
    return logs.length >= records.length && logs;
  });
  abort.abort();
  await tail;
  assert.deepEqual(inOrder(tailed), inOrder(listed));
  assert.equal(listed.length, records.length);
  const exported = await (await fetch(`${system.httpUrl}/v1/export?device_id=d`)).text();
  assert.equal(exported.trim().split("\n").length, records.length);
  const [numbers, ofBatch, words] = inOrder(listed) as unknown as Record<string, unknown>[];
  assert.deepEqual(numbers?.["attributes"], {
    temp: 21.5,
    big: "9",
    ok: true,
    none: null,
    firmware: "of the record",
    slot: 3,
  });
  assert.deepEqual(
    [ofBatch?.["attributes"], ofBatch?.["severityText"]],
    [{ firmware: "2.1.0", slot: 3 }, "WARN2"],
  );
  assert.deepEqual([words?.["severityText"], words?.["timeSource"]], ["notice", "TIME_SOURCE_RECEIVED"]);
});

function inOrder(logs: readonly LogEntry[]) {
  return logs.toSorted((a, b) => a.index - b.index).map((log) => toJson(LogEntrySchema, log));
}
