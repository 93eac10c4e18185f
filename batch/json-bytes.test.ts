import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { jsonBytesPerByteMax, writeJsonString } from "./json-bytes.ts";

test("writes any text so that JSON.parse gives it back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 50 }), (text) => {
      assert.equal(JSON.parse(written(text)), text);
    }),
    { seed: 1, numRuns: 2_000 },
  );
});

test("escapes as JSON.stringify does, and takes no more room than it says", () => {
  for (let byte = 0; byte < 0x80; byte++) {
    const text = String.fromCharCode(byte);
    assert.equal(written(text), JSON.stringify(text));
    assert.ok(written(text).length <= jsonBytesPerByteMax + 2);
  }
});

function written(text: string): string {
  const bytes = Buffer.from(text);
  const out = Buffer.alloc(jsonBytesPerByteMax * bytes.length + 2);
  return out.toString("utf8", 0, writeJsonString(out, 0, bytes, 0, bytes.length));
}
