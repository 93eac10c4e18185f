import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { projectFolder } from "#local/folders.ts";

test("the operators' documents link to files that are there", () => {
  for (const file of ["QUICKSTART.md", "docs/OPERATIONS.md", "docs/SCALING.md"]) {
    const text = readFileSync(join(projectFolder, file), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\((?!#|https?:)([^)#]+)[^)]*\)/g)) {
      assert.ok(existsSync(join(projectFolder, dirname(file), target)), `${file}: ${target}`);
    }
  }
});
