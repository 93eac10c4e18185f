import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { projectFolder } from "#dev/folders.ts";
import { anchors, documents, localLinks, namedPaths } from "./documents.ts";

test("every document links to files and headings that exist", () => {
  assert.ok(documents.length > 20);
  const broken = documents.flatMap((document) =>
    localLinks(document)
      .filter(({ target, anchor }) => !leadsSomewhere(target, anchor))
      .map(({ target, anchor }) => `${document.path}: ${target}#${anchor}`),
  );
  assert.deepEqual(broken, []);
});

test("every document names files and folders that exist", () => {
  const missing = documents.flatMap(({ path, text }) =>
    namedPaths(text)
      .filter((named) => !existsSync(join(projectFolder, named)))
      .map((named) => `${path}: ${named}`),
  );
  assert.deepEqual(missing, []);
});

function leadsSomewhere(target: string, anchor: string): boolean {
  const file = join(projectFolder, target);
  if (!existsSync(file)) return false;
  return anchor === "" || !target.endsWith(".md") || anchors(readFileSync(file, "utf8")).has(anchor);
}
