import assert from "node:assert/strict";
import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

test("the dashboard loads at most 100 kB, gzipped", () => {
  const folder = join(import.meta.dirname, "dist");
  const sizes = globSync("**/*.gz", { cwd: folder }).map(
    (file) => [file, statSync(join(folder, file)).size] as const,
  );
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  assert.ok(total > 20_000, "it was built");
  assert.ok(total <= 100_000, `${total} bytes: ${sizes.map(([file, size]) => `${file} ${size}`).join(", ")}`);
});
