import assert from "node:assert/strict";
import { test } from "node:test";
import { FieldOptionsSchema, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { ListLogsRequestSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { requestFromQuery } from "./request-from-query.ts";

test("fields are found by either name and parsed by their type", () => {
  const query = new URLSearchParams(
    "device_id=a&minSeverity=warn2&startTime=2026-01-01T00:00:00+01:00&page_size=007",
  );
  assert.deepEqual(requestFromQuery(ListLogsRequestSchema, query), {
    filter: { device_id: "a", min_severity: 14 },
    start_time: "2026-01-01T00:00:00+01:00",
    page_size: "7",
  });
});

test("a repeated field may be given several times", () => {
  const query = new URLSearchParams("dependency=a&dependency=b&public_dependency=1&public_dependency=2");
  assert.deepEqual(requestFromQuery(FileDescriptorProtoSchema, query), {
    dependency: ["a", "b"],
    public_dependency: ["1", "2"],
  });
});

test("booleans are the words true and false", () => {
  assert.deepEqual(requestFromQuery(FieldOptionsSchema, new URLSearchParams("packed=true&lazy=false")), {
    packed: true,
    lazy: false,
  });
  assert.throws(
    () => requestFromQuery(FieldOptionsSchema, new URLSearchParams("packed=1")),
    /expected true or false/,
  );
});

test("a name that every object has is no field", () => {
  for (const name of ["constructor", "__proto__", "toString", ""]) {
    const query = new URLSearchParams([[name, "x"]]);
    assert.throws(() => requestFromQuery(ListLogsRequestSchema, query), /unknown field/);
  }
});

test("numbers are integers in the range of their type", () => {
  for (const value of ["1.5", "1e3", "0x10", " 1", "2147483648", "9".repeat(30), "--1", "NaN"]) {
    const query = new URLSearchParams({ page_size: value });
    assert.throws(
      () => requestFromQuery(ListLogsRequestSchema, query),
      /^InvalidFieldError: page_size: .*expected an integer/,
    );
  }
});
