import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { listLogsPath, startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts();
});
after(() => gateway[Symbol.asyncDispose]());

describe("a record in JSON", () => {
  const newest = {
    time: "2026-01-01T00:00:03Z",
    receivedAt: "2026-01-01T00:00:05.000001Z",
    deviceId: "host-1",
    sessionId: "boot",
    sequence: "7",
    index: 2,
    severity: "SEVERITY_UNSPECIFIED",
    logger: "",
    message: "",
    attributes: {},
    traceId: "",
    spanId: "",
    eventName: "",
    severityText: "",
    isTextRepaired: false,
    timeSource: "TIME_SOURCE_UNSPECIFIED",
  };

  test("has microseconds, int64 as strings and every zero value, alike over REST and Connect", async () => {
    const rest = await gateway.get("/v1/logs?device_id=host-1");
    assert.equal(rest.status, 200);
    assert.equal(rest.headers.get("content-type"), "application/json");
    assert.deepEqual(rest.body.logs[0], newest);
    assert.equal(rest.body.logs[2]?.time, "2026-01-01T00:00:00.000001Z");
    assert.deepEqual(rest.body.logs[2]?.attributes, { if: "eth0" });
    assert.equal(rest.body.nextPageToken, "");
    const connect = await gateway.post(listLogsPath, { filter: { deviceId: "host-1" } });
    assert.deepEqual(connect.body, rest.body);
    const message = encodeURIComponent(JSON.stringify({ filter: { deviceId: "host-1" } }));
    const connectGet = await gateway.get(`${listLogsPath}?encoding=json&message=${message}`);
    assert.deepEqual(connectGet.body, rest.body);
  });

  test("is found by every parameter, by either of its names", async () => {
    const cases: [query: string, messages: string[]][] = [
      ["device_id=host-1&text=link%20down", ["Link DOWN 100%"]],
      ["text=0%25", ["Link DOWN 100%"]],
      ["deviceId=host-1&minSeverity=ERROR", ["Link DOWN 100%"]],
      ["device_id=host-1&min_severity=severity_error", ["Link DOWN 100%"]],
      ["device_id=host-1&min_severity=17", ["Link DOWN 100%"]],
      ["device_id=host-1&end_time=2026-01-01T00:00:00.000002Z", ["up"]],
      ["device_id=host-1&end_time=2026-01-01T02:00:00.000002%2B02:00", ["up"]],
      ["device_id=host-1&end_time=2026-01-01T02:00:00.000002+02:00", ["up"]],
      ["start_time=2026-01-01T00:00:00.000000001Z&end_time=2026-01-01T00:00:00.000002Z", ["up"]],
      ["device_id=host-1&start_time=2026-01-01T00:00:00.000002Z", ["", "Link DOWN 100%"]],
      ["device_id=&min_severity=9&page_size=&text=", ["Link DOWN 100%", "up", ""]],
      ["device_id=unknown", []],
      ["device_ids=host-1&device_ids=unknown&severities=INFO", ["up"]],
      ["excluded_device_ids=host-2&severities=INFO&severities=ERROR", ["Link DOWN 100%", "up"]],
      ["device_id=host-1&logger_prefix=ne", ["up"]],
      ["device_id=host-1&excluded_logger_prefixes=ne&words=down%20LINK", ["Link DOWN 100%"]],
      ["attributes=if%3Deth0", ["up"]],
      ["attributes=if", ["up"]],
      ["attributes=if%3Deth1", []],
      ["device_id=host-1&excluded_attributes=if&excluded_text=link", [""]],
      ["device_id=host-1&session_id=boot&oldest_first=true", ["up", "Link DOWN 100%", ""]],
      ["device_id=host-1&session_id=other", []],
    ];
    for (const [query, messages] of cases) {
      const { body } = await gateway.get(`/v1/logs?${query}`);
      assert.deepEqual(
        body.logs?.map((log: { message: string }) => log.message),
        messages,
        query,
      );
    }
  });

  test("is listed in pages whose tokens are safe in a URL", async () => {
    const seen: string[] = [];
    let token = "";
    do {
      const { body } = await gateway.get(`/v1/logs?page_size=1&page_token=${token}`);
      seen.push(...body.logs.map((log: { time: string }) => log.time));
      token = body.nextPageToken;
      assert.match(token, /^[A-Za-z0-9_-]*$/);
    } while (token !== "");
    assert.equal(seen.length, 4);
    const newestFirst = seen.toSorted((a, b) => Date.parse(b) - Date.parse(a));
    assert.deepEqual(seen.map(Date.parse), newestFirst.map(Date.parse));
  });
});

test("attributes are returned as they are stored, whatever their names", async () => {
  const names = [
    "\n",
    '"',
    "\\",
    "\\n",
    "a=b",
    "\u2028",
    "__proto__",
    "constructor",
    "",
    "ä",
    "\ud83d\ude00",
  ];
  const attributes = Object.fromEntries(names.map((name) => [name, `value of ${name}`]));
  await gateway.seed([
    {
      deviceId: "names",
      receivedMicros: 1n,
      records: [1n, 2n, 3n].map((timeMicros) => ({ timeMicros, attributes })),
    },
  ]);
  const stored = names
    .toSorted()
    .map((name) => `${JSON.stringify(name)}:${JSON.stringify(`value of ${name}`)}`);
  const text = await (await fetch(`${gateway.url}/v1/logs?device_id=names&page_size=1`)).text();
  for (const pair of stored) assert.ok(text.includes(pair), `${pair} in ${text}`);
  for (const query of ["a%5C%3Db%3Dvalue%20of%20a%3Db", "%5C%5C", "%5C%5Cn%3Dvalue of %5Cn", "%0A", "%22"]) {
    const { body } = await gateway.get(`/v1/logs?device_id=names&attributes=${query}`);
    assert.equal(body.logs.length, 3, query);
  }
});
