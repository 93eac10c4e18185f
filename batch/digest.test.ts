import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { createAttributes } from "#proto/attributes.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { digest } from "./digest.ts";
import { scan } from "./scan.ts";

test("is the first half of SHA-256 over the canonical bytes, which other programs can compute", () => {
  const batch = create(LogBatchSchema, {
    deviceId: "d",
    records: [{ message: "m", attributes: createAttributes({ a: "1" }) }],
  });
  const bytes = toBinary(LogBatchSchema, batch);
  // printf '\n\1d\42\13\42\1m*\6\n\1a\22\0011' | sha256sum
  assert.equal(digest(scan(bytes)).toString("hex"), "ae26ff455dea6e6105992c0e94d86f99");
});
