import assert from "node:assert/strict";
import { test } from "node:test";
import { CopyRows } from "#batch/copy-rows.ts";
import { scan } from "#batch/scan.ts";
import { encodeBatch } from "#batch/testing/wire.ts";
import { createLogger } from "#lib/logger.ts";
import { createPool } from "#postgres/pool.ts";
import { withSession } from "#postgres/session.ts";
import { createDatabase } from "#test/support/postgres.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { copyRecords } from "./records.ts";

test("a COPY fails when PostgreSQL stores fewer rows than were sent", async () => {
  await using database = await createDatabase();
  const pool = createPool(
    {
      databaseUrl: database.url,
      applicationName: "copy-test",
      connectionsMax: 1,
      statementTimeoutMs: 10_000,
      lockTimeoutMs: 0,
      connectTimeoutMs: 5_000,
    },
    createLogger("test", "silent"),
  );
  const rows = new CopyRows(100_000);
  rows.append(scan(encodeBatch()), 1n, { receivedAtMicros: 0 });
  try {
    await pool.query(
      `create function skip_row() returns trigger language plpgsql as 'begin return null; end'`,
    );
    await pool.query(
      "create trigger skip before insert on record_batches for each row execute function skip_row()",
    );
    await assert.rejects(
      withSession(pool, ({ client }) => copyRecords(client, rows)),
      /rows sent, PostgreSQL counted 0/,
    );
  } finally {
    await pool.end();
  }
});

test("a COPY without a reply fails once, and ends only its own connection", async () => {
  await using database = await createDatabase();
  const pool = createPool(
    {
      databaseUrl: database.url,
      applicationName: "copy-test",
      connectionsMax: 1,
      statementTimeoutMs: 200,
      lockTimeoutMs: 0,
      connectTimeoutMs: 5_000,
    },
    createLogger("test", "silent"),
  );
  const rows = new CopyRows(100_000);
  rows.append(scan(encodeBatch()), 1n, { receivedAtMicros: 0 });
  let backend = 0;
  try {
    await assert.rejects(
      withSession(pool, async ({ client }) => {
        const { rows: found } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
        backend = found[0]!.pid;
        process.kill(backend, "SIGSTOP");
        await copyRecords(client, rows);
      }),
      /Query read timeout/,
    );
    // The driver's error about the closed connection comes after this; without a listener it would end the process.
    await waitFor("the connection to go", () => pool.totalCount === 0);
    await new Promise((resolve) => setTimeout(resolve, 0));
  } finally {
    process.kill(backend, "SIGCONT");
    await pool.end();
  }
});
