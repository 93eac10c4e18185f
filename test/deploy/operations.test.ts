import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { guideFile, withTables } from "./configuration-table.ts";

test("docs/OPERATIONS.md has every variable as the programs read it", () => {
  const guide = readFileSync(guideFile, "utf8");
  assert.equal(guide, withTables(guide), "not current: node test/deploy/configuration-table.ts");
});

test("links within docs/OPERATIONS.md lead somewhere", () => {
  const guide = readFileSync(guideFile, "utf8");
  const headings = new Set(
    [...guide.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
  for (const [, target = ""] of guide.matchAll(/\]\(#([^)]+)\)/g)) assert.ok(headings.has(target), target);
});
