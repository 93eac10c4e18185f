import assert from "node:assert/strict";
import { test } from "node:test";
import { fromJson } from "@bufbuild/protobuf";
import { callNames, readCall, toConfig } from "#bench/ghz/call.ts";
import { findFault } from "#bench/ghz/measure-call.ts";
import { PushLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

test("each run of ghz has its own devices, and each call its own batch", () => {
  for (const name of callNames) {
    const { config, data } = toConfig(readCall(name), { host: "h:1", prefix: "ghz-run-", output: "o" });
    const { batch } = JSON.parse(data) as { batch: { deviceId: string; sessionId: string } };
    assert.equal(batch.deviceId, "ghz-run-{{mod .RequestNumber 96}}");
    assert.equal(batch.sessionId, "{{.UUID}}");
    assert.equal((config as { host: string }).host, "h:1");
  }
});

test("what ghz sends is a request in the JSON of the contract, which ghz encodes by reflection", () => {
  for (const name of callNames) {
    const call = readCall(name);
    const { data } = toConfig(call, { host: "h:1", prefix: "ghz-run-", output: "o" });
    const { batch } = fromJson(PushLogsRequestSchema, JSON.parse(data));
    assert.equal(batch?.records.length, call.recordsPerBatch);
    assert.ok(batch.records.some(({ attributes }) => attributes.length > 0));
  }
});

test("the names of the calls say how many records a batch has", () => {
  assert.deepEqual(
    (["unary-1", "unary-10", "unary-100", "stream-100"] as const).map(
      (name) => readCall(name).recordsPerBatch,
    ),
    [1, 10, 100, 100],
  );
});

test("a run fails for missing, unexpected or duplicate rows, not for calls without a response", () => {
  const cases = [
    [100, 0, 100, 0, undefined],
    [100, 10, 105, 0, undefined],
    [100, 0, 99, 0, /^1 acknowledged records are not stored$/],
    [100, 10, 111, 0, /^11 rows more/],
    [100, 0, 101, 1, /^1 rows are doubled$/],
    [0, 0, 0, 0, /nothing/],
  ] as const;
  for (const [acknowledged, uncertain, rows, doubled, expected] of cases) {
    const fault = findFault(acknowledged, uncertain, rows, doubled);
    if (expected === undefined) assert.equal(fault, undefined);
    else assert.match(fault ?? "", expected);
  }
});
