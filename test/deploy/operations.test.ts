import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Client } from "pg";
import { createDatabase } from "#test/support/postgres.ts";
import { guideFile, withTables } from "./configuration-table.ts";
import { documents } from "./documents.ts";

test("docs/operations/configure.md has every variable as the programs read it", () => {
  const guide = readFileSync(guideFile, "utf8");
  assert.equal(guide, withTables(guide), "not current: node test/deploy/configuration-table.ts");
});

test("every query of docs/operations runs", async () => {
  const queries = documents
    .filter(({ path }) => path.startsWith("docs/operations/"))
    .flatMap(({ text }) => [...text.matchAll(/[`"]((?:select|delete) [^`"]*\bfrom [^`"]*)[`"]/g)])
    .map(([, query = ""]) => query.replaceAll("'…'", "'x'").replaceAll("…", "now()"));
  assert.ok(queries.length > 5);
  await using database = await createDatabase();
  const client = new Client({ connectionString: database.url });
  await client.connect();
  try {
    for (const query of queries) await assert.doesNotReject(client.query(query), query);
  } finally {
    await client.end();
  }
});
