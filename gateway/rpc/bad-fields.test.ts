import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { LogFilterSchema, QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { type HttpResponse, toQueryString } from "../testing/http-client.ts";
import { listLogsPath, startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts();
});
after(() => gateway[Symbol.asyncDispose]());

describe("an invalid field is INVALID_ARGUMENT and is named, over REST and Connect JSON alike", () => {
  const mistakes: [field: string, value: string | number, said: RegExp][] = [
    ["page_size", -1, /^page_size: -1, expected 0 to 1000$/],
    ["page_size", "many", /^page_size: /],
    ["page_size", "99999999999", /^page_size: /],
    ["page_token", "garbage", /^page_token: "garbage", expected a next_page_token/],
    ["page_token", "A".repeat(40), /^page_token: /],
    ["page_token", "%%%\u0000", /^page_token: /],
    ["device_id", "no spaces", /^device_id: "no spaces", expected 1 to 128 characters of A-Z/],
    ["device_id", "x".repeat(129), /^device_id: .*expected 1 to 128/],
    ["device_id", "nul\u0000", /^device_id: /],
    ["min_severity", 99, /^min_severity: "?99"?, expected /],
    ["min_severity", "LOUD", /^min_severity: /],
    ["text", "x".repeat(257), /^text: 257 characters, expected at most 256$/],
    ["text", "a\u0000b", /^text: .*NUL/],
    ["words", "x".repeat(257), /^words: 257 characters, expected at most 256$/],
    ["words", "a b c d e f g h i", /^words: 9 values, expected at most 8$/],
    ["excluded_text", "a\u0000b", /^excluded_text: .*NUL/],
    ["logger_prefix", "x".repeat(257), /^logger_prefix: 257 characters/],
    ["session_id", "s1", /^session_id: "s1", requires exactly one device_id$/],
    ["session_id", "~~", /^session_id: "~~", expected a session_id/],
    ["trace_id", "0af7", /^trace_id: "0af7", expected 32 hex digits, not all zeros$/],
    ["trace_id", "0".repeat(32), /^trace_id: "0+"[^,]*, expected 32 hex digits/],
    ["trace_id", "g".repeat(32), /^trace_id: "g+"[^,]*, expected 32 hex digits/],
    ["oldest_first", "maybe", /^oldest_first: /],
    ["start_time", "yesterday", /^start_time: /],
    ["start_time", "2026-13-01T00:00:00Z", /^start_time: /],
    ["end_time", "300000-01-01T00:00:00Z", /^end_time: /],
    ["end_time", "0000-01-01T00:00:00Z", /^end_time: /],
  ];
  for (const [field, value, said] of mistakes) {
    test(`${field}=${JSON.stringify(value).slice(0, 40)}`, async () => {
      const answers = [
        await gateway.get(`/v1/logs?${toQueryString({ [field]: String(value) })}`),
        await gateway.post(listLogsPath, requestWith(field, value)),
      ];
      for (const answer of answers) assertInvalid(answer, field, said);
    });
  }

  const listMistakes: [field: string, query: string, json: unknown, said: RegExp][] = [
    ["device_ids", "device_ids=a&device_ids=b%20c", ["a", "b c"], /^device_ids: "b c", expected 1 to 128/],
    [
      "device_ids",
      "device_ids=a&".repeat(101),
      Array(101).fill("a"),
      /^device_ids: 101 values, expected at most 100$/,
    ],
    ["excluded_device_ids", "excluded_device_ids=%C3%A4", ["ä"], /^excluded_device_ids: /],
    ["severities", "severities=ERROR&severities=LOUD", ["SEVERITY_ERROR", "LOUD"], /^severities: /],
    ["severities", "severities=25", [25], /^severities: .*25/],
    [
      "attributes",
      "attributes==x",
      [{ name: "", value: "x" }],
      /^attributes: "", expected a name of 1 to 128 bytes$/,
    ],
    ["attributes", "attributes=a%00", [{ name: "a\0" }], /^attributes: name .* without NUL$/],
    [
      "attributes",
      "attributes=a%3Db%00",
      [{ name: "a", value: "b\0" }],
      /^attributes: value .* without NUL$/,
    ],
    [
      "attributes",
      "attributes=a&".repeat(9),
      Array.from({ length: 9 }, () => ({ name: "a" })),
      /^attributes: 9 values, expected at most 8$/,
    ],
    [
      "excluded_attributes",
      `excluded_attributes=${"a".repeat(129)}`,
      [{ name: "a".repeat(129) }],
      /^excluded_attributes: /,
    ],
    ["excluded_logger_prefixes", "excluded_logger_prefixes=%00", ["\0"], /^excluded_logger_prefixes: .*NUL/],
  ];
  for (const [field, query, json, said] of listMistakes) {
    test(query.slice(0, 40), async () => {
      assertInvalid(await gateway.get(`/v1/logs?${query}`), field, said);
      assertInvalid(await gateway.post(listLogsPath, requestWith(field, json)), field, said);
    });
  }

  test("end before start", async () => {
    const range = { start_time: "2026-01-02T00:00:00Z", end_time: "2026-01-01T00:00:00Z" };
    const said = /^end_time: 2026-01-01T00:00:00.000000Z is before start_time 2026-01-02T00:00:00.000000Z/;
    assertInvalid(await gateway.get(`/v1/logs?${toQueryString(range)}`), "end_time", said);
    assertInvalid(await gateway.post(listLogsPath, range), "end_time", said);
  });

  test("the page token of another query, also of another RPC", async () => {
    const said = /^page_token: belongs to another query/;
    const logs = (await gateway.get("/v1/logs?page_size=1")).body.nextPageToken;
    const devices = (await gateway.get("/v1/devices?page_size=1")).body.nextPageToken;
    assertInvalid(await gateway.get(`/v1/logs?device_id=host-1&page_token=${logs}`), "page_token", said);
    assertInvalid(
      await gateway.post(listLogsPath, { filter: { text: "x" }, pageToken: logs }),
      "page_token",
      said,
    );
    assertInvalid(await gateway.get(`/v1/logs?page_token=${devices}`), "page_token", said);
    assertInvalid(await gateway.get(`/v1/devices?page_token=${logs}`), "page_token", said);
    assert.equal((await gateway.get(`/v1/logs?page_size=3&page_token=${logs}`)).status, 200);
  });

  test("a page token with a forged position", async () => {
    const token = Buffer.from((await gateway.get("/v1/logs?page_size=1")).body.nextPageToken, "base64url");
    for (const position of ["", "1 2", "a b c", "99999999999999999999 1 1", `1 ${2n ** 63n} 1`, "1 1 -1"]) {
      const body = Buffer.concat([token.subarray(4, 12), Buffer.from(position)]);
      const checksum = createHash("sha256").update(body).digest().subarray(0, 4);
      const forged = Buffer.concat([checksum, body]).toString("base64url");
      assertInvalid(
        await gateway.get(`/v1/logs?page_token=${forged}`),
        "page_token",
        /^page_token: .*expected/,
      );
    }
  });

  test("an unknown parameter is named, with the known ones", async () => {
    const said = /^device: unknown field, expected one of device_id, device_ids, .*, start_time, end_time/;
    const saidOfFilter = /^device: unknown field, expected one of device_id, device_ids, [^ ]+, session_id/;
    assertInvalid(await gateway.get("/v1/logs?device=x"), "device", said);
    assertInvalid(await gateway.post(listLogsPath, { filter: { device: "x" } }), "device", saidOfFilter);
    const outside = /^device_id: unknown field, expected one of filter, start_time, end_time/;
    assertInvalid(await gateway.post(listLogsPath, { device_id: "x" }), "device_id", outside);
    assertInvalid(await gateway.get("/v1/logs?filter=x"), "filter", /^filter: unknown field/);
  });

  test("a parameter given twice", async () => {
    assertInvalid(await gateway.get("/v1/logs?text=a&text=b"), "text", /given 2 times/);
    assertInvalid(
      await gateway.get("/v1/logs?page_size=1&pageSize=2"),
      "page_size",
      /given as snake_case and lowerCamelCase/,
    );
  });

  test("times and severities that only the binary format can express", async () => {
    const client = createClient(
      QueryService,
      createConnectTransport({ baseUrl: gateway.url, httpVersion: "1.1" }),
    );
    const bad = [
      { startTime: { seconds: 2n ** 62n, nanos: 0 } },
      { endTime: { seconds: 0n, nanos: -1 } },
      { filter: { minSeverity: -5 as Severity } },
    ];
    for (const request of bad) {
      await assert.rejects(client.listLogs(request), { code: Code.InvalidArgument });
    }
  });
});

/** In JSON: a condition is a field of the filter. */
function requestWith(field: string, value: unknown): object {
  const isCondition = LogFilterSchema.fields.some(({ name }) => name === field);
  return isCondition ? { filter: { [field]: value } } : { [field]: value };
}

function assertInvalid({ status, body }: HttpResponse, field: string, said: RegExp): void {
  assert.equal(status, 400, JSON.stringify(body));
  assert.equal(body.code, "invalid_argument");
  assert.match(body.message, said);
  assert.equal(body.details[0]?.type, "google.rpc.BadRequest");
  assert.equal(body.details[0]?.debug.fieldViolations[0]?.field, field);
}
