import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "#lib/logger.ts";
import { createDatabase as createTestDatabase } from "#test/support/postgres.ts";
import { createPool } from "./pool.ts";

test("a session detects a client that disappeared, and has the given settings", async () => {
  await using database = await createTestDatabase();
  const pool = createPool(
    {
      databaseUrl: database.url,
      applicationName: "test",
      connectionsMax: 1,
      statementTimeoutMs: 1_000,
      lockTimeoutMs: 0,
      connectTimeoutMs: 5_000,
      settings: { synchronous_commit: "on" },
    },
    createLogger("test", "silent"),
  );
  const { rows } = await pool.query(
    "select current_setting('tcp_keepalives_idle') as idle, current_setting('synchronous_commit') as commit",
  );
  await pool.end();
  assert.deepEqual(rows, [{ idle: "10", commit: "on" }]);
});
