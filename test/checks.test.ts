import assert from "node:assert/strict";
import { test } from "node:test";
import { checks } from "./checks.ts";

for (const { name, run } of checks) {
  test(`check: ${name}`, (t) => {
    const wrong = run();
    if (wrong === undefined) t.skip("needs the git history");
    else assert.equal(wrong, "");
  });
}
