import assert from "node:assert/strict";
import { test } from "node:test";
import { create, equals, fromJson } from "@bufbuild/protobuf";
import { requestFromQuery } from "#gateway/rest/request-from-query.ts";
import { ListLogsRequestSchema, LogFilterSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { filterMessage, filterRequest } from "../api/filter-request.ts";
import { noFilter, readView } from "../state/view.ts";
import { exportAddress } from "./export-address.ts";

const view = readView(
  new URLSearchParams(
    "from=2026-01-10T11:00:00.000001Z&to=2026-01-10T12:00:00Z&device=a&-device=b&-device=c&severity=info&level=none&level=warn&level=fatal&logger=net&-logger=x&q=one%20%22a%20b%22%20-no&attribute=a%5C%3Db%3Dc&attribute=d&attribute=f%3D&-attribute=e%3Df&session=s&trace=0af7651916cd43dd8448eb211c80319c",
  ),
);

test("an export requests exactly what the dashboard shows, as the gateway reads it", () => {
  for (const filter of [view, noFilter]) {
    const asked = { ...filterRequest(filter, view.range, 0), oldestFirst: true };
    const query = new URL(exportAddress(asked, "csv"), "http://gateway").searchParams;
    assert.equal(query.get("format"), "csv");
    query.delete("format");
    const read = fromJson(ListLogsRequestSchema, requestFromQuery(ListLogsRequestSchema, query));
    read.filter ??= create(LogFilterSchema);
    const wanted = create(ListLogsRequestSchema, asked);
    assert.ok(equals(ListLogsRequestSchema, read, wanted), `${query}`);
  }
});

test("the dashboard can set every condition of the gateway, and sets none by default", () => {
  const names = LogFilterSchema.fields.map(({ localName }) => localName);
  assert.deepEqual(namesSet(filterMessage(noFilter)), []);
  assert.deepEqual(
    namesSet(filterMessage(view)),
    names.filter((name) => name !== "deviceId"), // one of deviceIds says the same
  );
});

function namesSet(filter: object): string[] {
  return Object.entries(filter).flatMap(([name, value]) => {
    const isSet = Array.isArray(value) ? value.length > 0 : value !== "" && value !== 0;
    return isSet ? [name] : [];
  });
}
