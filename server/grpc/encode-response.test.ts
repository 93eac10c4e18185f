import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { PushLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { toAck } from "../ack.ts";
import type { Outcome } from "../outcome.ts";
import { encodeResponse } from "./encode-response.ts";

const nowMs = Date.UTC(2026, 10, 28);
const many = Array.from({ length: 5_000 }, (_, index) => ({ index, reason: `reason ${index}` }));

for (const [what, outcome] of [
  ["an accepted batch", { sequence: 7n, accepted: 100, rejections: [] }],
  ["the largest numbers", { sequence: 2n ** 63n - 1n, accepted: 10_000, rejections: [] }],
  ["a batch without a sequence", { sequence: 0n, accepted: 1, rejections: [] }],
  [
    "a batch of a sender without state",
    { sequence: 3n, assignedSession: "~0123456789abcdef", accepted: 1, rejections: [] },
  ],
  ["nothing", { sequence: 0n, accepted: 0, rejections: [] }],
  ["rejections", { sequence: 1n, accepted: 0, rejections: [{ index: 0, reason: "NUL" }] }],
  ["many rejections", { sequence: 1n, accepted: 0, rejections: many }],
  [
    "a refusal",
    {
      sequence: 1n,
      accepted: 0,
      rejections: [],
      refusal: { code: 8, field: "", message: "later", retryDelayMs: 1_500 },
    },
  ],
] as const satisfies [string, Outcome][]) {
  test(`${what}: the same bytes as protobuf-es writes`, () => {
    const expected = toBinary(
      PushLogsResponseSchema,
      create(PushLogsResponseSchema, { ack: toAck(outcome, "binary", nowMs) }),
    );
    assert.deepEqual(encodeResponse(outcome, nowMs), Buffer.from(expected));
  });
}
