import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Client } from "pg";
import { createDatabase } from "#test/support/postgres.ts";
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

test("every query of docs/OPERATIONS.md runs", async () => {
  const guide = readFileSync(guideFile, "utf8");
  const found = [...guide.matchAll(/[`"]((?:select|delete) [^`"]*\bfrom [^`"]*)[`"]/g)];
  assert.ok(found.length > 5);
  await using database = await createDatabase();
  const client = new Client({ connectionString: database.url });
  await client.connect();
  try {
    for (const [, query = ""] of found) {
      const filled = query.replaceAll("'…'", "'x'").replaceAll("…", "now()");
      await assert.doesNotReject(client.query(filled), query);
    }
  } finally {
    await client.end();
  }
});
