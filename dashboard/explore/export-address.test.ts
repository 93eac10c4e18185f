import assert from "node:assert/strict";
import { test } from "node:test";
import { fromJson } from "@bufbuild/protobuf";
import { requestFromQuery } from "#gateway/rest/request-from-query.ts";
import { ListLogsRequestSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { filterRequest } from "../api/filter-request.ts";
import { readView } from "../state/view.ts";
import { exportAddress } from "./export-address.ts";

test("an export asks for what the page asks for, as the gateway reads it", () => {
  const view = readView(
    new URLSearchParams(
      "from=2026-01-10T11:00:00.000001Z&to=2026-01-10T12:00:00Z&device=a&-device=b&-device=c&level=warn&level=fatal&logger=net&-logger=x&q=one%20%22a%20b%22%20-no&attribute=a%5C%3Db%3Dc&attribute=d&-attribute=e%3Df&session=s",
    ),
  );
  const asked = { ...filterRequest(view, view.range, 0), oldestFirst: true };
  const query = new URL(exportAddress(asked, "csv"), "http://gateway").searchParams;
  assert.equal(query.get("format"), "csv");
  query.delete("format");
  const read = fromJson(ListLogsRequestSchema, requestFromQuery(ListLogsRequestSchema, query));
  for (const [name, value] of Object.entries(asked)) {
    const found = read[name as keyof typeof read];
    assert.deepEqual(JSON.parse(show(found)), JSON.parse(show(value)), name); // without the marks of messages
  }
});

function show(value: unknown): string {
  return JSON.stringify(value, (name, one: unknown) => {
    if (name === "$typeName") return undefined;
    return typeof one === "bigint" ? String(one) : one;
  });
}
