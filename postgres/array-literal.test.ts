import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "pg";
import { createDatabase } from "#test/support/postgres.ts";
import { byteaArray, plainArray, textArray } from "./array-literal.ts";

test("PostgreSQL reads every value as it was encoded", async () => {
  await using database = await createDatabase();
  const client = new Client({ connectionString: database.url });
  await client.connect();
  const numbers = [0, -1, 2n ** 63n - 1n, 1e15];
  const texts = ["", "null", "NULL", "a,b", '"', "\\", '\\"', "{}", " ü\n", "~1", "'"];
  const bytes = [Buffer.alloc(0), Buffer.from([0, 0x5c, 0x22, 0xff])];
  const { rows } = await client.query(
    "select $1::bigint[]::text[] as numbers, $2::boolean[] as flags, $3::text[] as texts, $4::bytea[] as bytes, $5::int[] as none",
    [plainArray(numbers), plainArray([true, false]), textArray(texts), byteaArray(bytes), plainArray([])],
  );
  await client.end();
  assert.deepEqual(rows, [{ numbers: numbers.map(String), flags: [true, false], texts, bytes, none: [] }]);
});
