import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { BadRequestSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { errorText } from "#rpc/send-error.ts";
import { refusalError } from "./connect/refusal-error.ts";
import { refusalStatus } from "./grpc/status.ts";
import type { Refusal } from "./outcome.ts";
import { readDetails } from "./testing/grpc-device.ts";
import { truncateText } from "./truncate-text.ts";

const { INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE } = BatchErrorCode;

/** What takes the most room in percent-encoding, in JSON, in bytes. */
const texts = ["a", " ", '"', "\\", "\u0001", "é", "😀", "%"].map((character) => character.repeat(9_000));

for (const text of texts) {
  const shown = JSON.stringify(text.slice(0, 2));
  test(`an error of 9,000 times ${shown} fits into 1 KiB with its details, in every protocol`, () => {
    for (const code of [INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE] as const) {
      const field = code === INVALID_ARGUMENT ? text : "";
      const refusal: Refusal = {
        code,
        field,
        message: text,
        retryDelayMs: code === INVALID_ARGUMENT ? 0 : 1_500,
      };
      const { details, metadata } = refusalStatus(refusal);
      const [encoded] = metadata.get("grpc-status-details-bin") as Buffer[];
      assert(encodeURI(details).length + (encoded?.toString("base64").length ?? 0) < 1_000);
      assert.deepEqual(readDetails(metadata).retryDelayMs, code === INVALID_ARGUMENT ? undefined : 1_500);
      assert(Buffer.byteLength(errorText(refusalError(refusal))) <= 1_024);
    }
  });
}

test("an error of usual length keeps its text, and what helps people to read it", () => {
  const message = 'batch.device_id is "a b": only A-Z a-z 0-9 . _ : - are allowed';
  const refusal = { code: INVALID_ARGUMENT, field: "batch.device_id", message, retryDelayMs: 0 } as const;
  assert.equal(refusalStatus(refusal).details, message);
  const error = refusalError(refusal);
  assert.equal(error.rawMessage, message);
  assert.equal(error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.description, message);
  assert.match(errorText(error), /"debug"/);
});

test("a long text is cut at a character, with an ellipsis", () => {
  assert.equal(truncateText("short", 5), "short");
  assert.equal(truncateText("😀😀", 8), "😀😀");
  assert.equal(truncateText("😀😀😀", 8), "😀…");
  assert.equal(truncateText("aé😀", 5), "a…");
  for (const text of texts) {
    for (let bytesMax = 8; bytesMax < 40; bytesMax++) {
      const cut = truncateText(text, bytesMax);
      assert(Buffer.byteLength(cut) <= bytesMax && cut.isWellFormed() && text.startsWith(cut.slice(0, -1)));
    }
  }
});
