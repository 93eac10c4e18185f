import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "./limits.ts";
import { readSequence } from "./read-sequence.ts";
import { scan } from "./scan.ts";

const sequence5 = Buffer.from([0x18, 5]);
/** Field 15, a number: none that a batch has. */
const unknown = (count: number) => Buffer.alloc(2 * count, Buffer.from([0x78, 1]));

/** A batch of device d with one record. */
const batch = (count: number) =>
  Buffer.concat([Buffer.from("0a0164", "hex"), unknown(count), Buffer.from("2200", "hex")]);

test("the sequence of a refused batch is read behind as many fields as a batch may have, and no further", () => {
  const fields = 3 * limits.recordsMax;
  assert.equal(readSequence(Buffer.concat([unknown(fields - 1), sequence5])), 5n);
  assert.equal(readSequence(Buffer.concat([unknown(fields), sequence5])), 0n);
});

test("a batch of more than 200,000 unknown fields is refused", () => {
  assert.equal(scan(batch(200_000)).recordCount, 1);
  assert.throws(() => scan(batch(200_001)), /more than 200000 unknown fields/);
});
