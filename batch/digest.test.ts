import assert from "node:assert/strict";
import { test } from "node:test";
import { digest } from "./digest.ts";

test("is the first half of SHA-256, which other programs can compute", () => {
  // FIPS 180-2, B.1
  assert.equal(digest(Buffer.from("abc")).toString("hex"), "ba7816bf8f01cfea414140de5dae2223");
});
