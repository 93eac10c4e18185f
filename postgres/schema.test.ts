import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { sql } from "kysely";
import { createDatabase as createTestDatabase } from "#test/support/postgres.ts";
import { dumpSchema } from "./dump-schema.ts";
import { openDatabase } from "./testing/open-database.ts";

const schemaFile = join(import.meta.dirname, "schema.sql");

test("schema.sql is the result of the migrations; FLEETLOG_UPDATE=1 rewrites it", async () => {
  await using database = await createTestDatabase();
  await using db = openDatabase(database.url);
  const dumped = await dumpSchema(db);
  if (process.env.FLEETLOG_UPDATE) await writeFile(schemaFile, dumped);
  assert.equal(await readFile(schemaFile, "utf8"), dumped);
});

test("every table, view, function and column has a comment for operators", async () => {
  await using database = await createTestDatabase();
  await using db = openDatabase(database.url);
  const { rows } = await sql<{ name: string }>`
    select class.relname || coalesce('.' || attname, '') as name
    from pg_class class left join pg_attribute on attrelid = class.oid and attnum > 0
    where class.relnamespace = 'public'::regnamespace and class.relkind in ('r', 'p', 'v')
      and class.relname !~ '^kysely_' and not class.relispartition
      and (col_description(class.oid, attnum) is null or obj_description(class.oid, 'pg_class') is null)
    union all
    select proname from pg_proc
    where pronamespace = 'public'::regnamespace and obj_description(oid, 'pg_proc') is null
      and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')`.execute(db);
  assert.deepEqual(rows, []);
});
