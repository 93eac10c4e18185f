import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { createBatchPool, encodeBatch } from "#bench/path/batch-pool.ts";
import { FrameReader, frame } from "#bench/path/grpc-frame.ts";
import { StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

test("frames are reassembled from any slices of the bytes", () => {
  const batches = createBatchPool(3, 20).map((records, index) =>
    encodeBatch("device", "session", BigInt(index + 1), records),
  );
  const bytes = Buffer.concat(batches.map(frame));
  for (const size of [1, 2, 7, 1_000, bytes.length]) {
    const messages: Buffer[] = [];
    const reader = new FrameReader((message) => messages.push(Buffer.from(message)));
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    assert.deepEqual(
      messages.map((message) => {
        const { batch } = fromBinary(StreamLogsRequestSchema, message);
        return [batch?.sequence, batch?.records.length];
      }),
      [
        [1n, 20],
        [2n, 20],
        [3n, 20],
      ],
    );
  }
});
