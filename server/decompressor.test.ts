import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { Decompressor, DecompressorFullError } from "./decompressor.ts";

test("decompresses up to its limit of bytes, and not one more", async () => {
  const decompressor = new Decompressor();
  const compressed = gzipSync(Buffer.alloc(1_000));
  assert.equal((await decompressor.decompress(compressed, 1_000)).length, 1_000);
  await assert.rejects(decompressor.decompress(compressed, 999), /decompresses to more than 999 bytes/);
});

test("after malformed messages the next ones are decompressed", {
  timeout: 30_000,
}, async () => {
  const decompressor = new Decompressor();
  const bad = Array.from({ length: 20 }, () => decompressor.decompress(Buffer.from("no gzip"), 1_000));
  for (const one of await Promise.allSettled(bad)) {
    assert(one.status === "rejected" && one.reason instanceof InvalidBatchError);
  }
  assert.equal(String(await decompressor.decompress(gzipSync("good"), 1_000)), "good");
});

test("10,000 messages wait for their turn; one more is refused, to retry later", async () => {
  const decompressor = new Decompressor();
  const compressed = gzipSync("one");
  const decompressed = Array.from({ length: 10_004 }, () => decompressor.decompress(compressed, 1_000));
  await assert.rejects(decompressor.decompress(compressed, 1_000), DecompressorFullError);
  assert((await Promise.all(decompressed)).every((bytes) => bytes.length === 3));
});
