import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { openPool } from "./testing/open-pool.ts";

let database: TestDatabase;
before(async () => {
  database = await createDatabase();
});
after(() => database[Symbol.asyncDispose]());

test("logs its address, becomes ready, and on SIGTERM finishes the calls in flight", async () => {
  const pool = openPool(database.url);
  const child = startMain({ DATABASE_URL: database.url, HTTP_LISTEN: "127.0.0.1:0" });
  try {
    const url = `http://${await readAddress(child)}`;
    await waitFor("to be ready", async () => (await fetch(`${url}/readyz`)).ok);

    const client = await pool.connect();
    await client.query("begin; lock table batches in access exclusive mode");
    const call = fetch(`${url}/v1/logs`);
    await waitFor("the statement to wait", async () => {
      const { rowCount } = await pool.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      );
      return rowCount === 1;
    });
    child.kill("SIGTERM");
    await waitFor("new connections to be refused", async () => {
      return await fetch(`${url}/livez`).then(
        () => false,
        () => true,
      );
    });
    await client.query("rollback");
    client.release();
    assert.equal((await call).status, 200);
    assert.deepEqual(await once(child, "exit"), [0, null]);
  } finally {
    child.kill("SIGKILL");
    await pool.end();
  }
});

test("an invalid environment is reported whole, in one error, with exit code 1", async () => {
  const child = startMain({ DATABASE_URL: "mysql://x", HTTP_LISTEN: "nowhere" });
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  assert.deepEqual(await once(child, "close"), [1, null]);
  assert.match(said, /DATABASE_URL="mysql:\/\/x": expected a URL/);
  assert.match(said, /HTTP_LISTEN="nowhere": expected host:port/);
});

function startMain(env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [fileURLToPath(new URL("main.ts", import.meta.url))], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** The address in the line that every program logs when it listens. */
async function readAddress(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout);
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as { msg: string; http: string };
    if (said.msg === "ready") {
      child.stdout.resume();
      return said.http;
    }
  }
  throw new Error("ended without being ready");
}
