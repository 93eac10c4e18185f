import assert from "node:assert/strict";
import { test } from "node:test";
import { toPattern } from "./error-pattern.ts";

test("a pattern has # for numbers and ids, and no more than 200 characters", () => {
  for (const [message, pattern] of [
    ["disk 12 at 0xFE12 failed", "disk # at # failed"],
    ["user 2f1c1c9e-0d5b-4a57-8a70-6a3b7a2b9d11 gone", "user # gone"],
    ["deadbeef42, at 10.0.0.1:8080", "#, at #"],
    ["took 1,234.5 ms", "took # ms"],
    ["123456.5 and 123456", "# and #"],
    ["12ab34cd is an id, 12abc a number", "# is an id, #abc a number"],
    ["decade facade sensor-a1b2c3d4", "decade facade sensor-#"],
    ["größe_1a2b3c4d5 Ä1b2c3d4", "größe_#a#b#c#d# Ä#b#c#d#"],
    ["", ""],
  ] as const) {
    assert.equal(toPattern(message), pattern);
  }
  assert.equal(toPattern("x".repeat(300)), "x".repeat(200));
  assert.ok(toPattern(`${"x".repeat(199)}\u{1f600}`).isWellFormed());
});
