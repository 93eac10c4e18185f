import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "pg";
import { projectFolder } from "#dev/folders.ts";
import { ensureReader, type ReaderRole } from "#postgres/reader-role.ts";
import { queries } from "#test/deploy/monitoring-files.ts";
import { createDatabase } from "#test/support/postgres.ts";

// deploy/ is no folder of the code: nothing there is imported by name.
const { grafanaRole } = (await import(join(projectFolder, "deploy/compose/reader-role.ts"))) as {
  grafanaRole: (password: string) => ReaderRole;
};

test("Grafana's role reads what the dashboards query, and cannot write, whatever its password was before", async () => {
  await using database = await createDatabase();
  await ensureReader(database.url, grafanaRole("old"));
  const role = grafanaRole("it's new");
  await ensureReader(database.url, role);
  const url = new URL(database.url);
  url.username = role.name;
  url.password = encodeURIComponent(role.password);
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    const inSql = queries.flatMap(({ rawSql }) => (rawSql === undefined ? [] : [rawSql]));
    assert.ok(inSql.length > 0);
    for (const sql of inSql) await client.query(sql.replaceAll(/\$__timeFilter\((\w+)\)/g, "$1 < now()"));
    await client.query("set default_transaction_read_only = off");
    for (const sql of [
      "insert into devices (device_id) values ('x')",
      "delete from batches",
      "drop table dead_letters",
      "create table mine (x int)",
    ]) {
      await assert.rejects(client.query(sql), { code: "42501" }, sql);
    }
  } finally {
    await client.end();
  }
});
