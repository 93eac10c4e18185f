import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { Decompressor, DecompressorFullError } from "./decompressor.ts";

test("unpacks as many bytes as may be, and not one more", async () => {
  const decompressor = new Decompressor();
  const packed = gzipSync(Buffer.alloc(1_000));
  assert.equal((await decompressor.decompress(packed, 1_000)).length, 1_000);
  await assert.rejects(decompressor.decompress(packed, 999), /decompresses to more than 999 bytes/);
});

test("after messages that cannot be unpacked the next ones have their turn", {
  timeout: 30_000,
}, async () => {
  const decompressor = new Decompressor();
  const bad = Array.from({ length: 20 }, () => decompressor.decompress(Buffer.from("no gzip"), 1_000));
  for (const one of await Promise.allSettled(bad)) {
    assert(one.status === "rejected" && one.reason instanceof InvalidBatchError);
  }
  assert.equal(String(await decompressor.decompress(gzipSync("good"), 1_000)), "good");
});

test("10,000 messages wait for their turn, one more is told to come later", async () => {
  const decompressor = new Decompressor();
  const packed = gzipSync("one");
  const unpacked = Array.from({ length: 10_004 }, () => decompressor.decompress(packed, 1_000));
  await assert.rejects(decompressor.decompress(packed, 1_000), DecompressorFullError);
  assert((await Promise.all(unpacked)).every((bytes) => bytes.length === 3));
});
