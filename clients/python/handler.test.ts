import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { Client } from "pg";
import { projectFolder } from "#dev/folders.ts";
import { whyNoPython } from "#test/support/python-client.ts";
import { packagePython, pythonEnv } from "#test/support/python-package.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";

// fleetlog.Handler in programs of every kind, against the whole system.

const noPython = await whyNoPython();
const numbered = (name: string, count: number) =>
  Array.from({ length: count }, (_, number) => `${name} ${number}`);

describe("a Python program that logs with fleetlog.Handler", { skip: noPython ?? false }, () => {
  let system: TestSystem;
  let client: Client;
  let folder: string;
  before(async () => {
    await packagePython();
    folder = await mkdtemp(join(tmpdir(), "fleetlog-handler-"));
    system = await startSystem();
    client = new Client({ connectionString: system.databaseUrl });
    await client.connect();
  });
  after(async () => {
    await client?.end();
    await system?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs logs.py; returns its exit code, signal and output. */
  async function run(
    way: string,
    count: number,
    options: { address?: string; spool?: string; env?: Record<string, string> } = {},
  ) {
    const script = join(projectFolder, "test/clients/python-device/logs.py");
    const args = [
      options.address ?? system.grpcAddress,
      way,
      String(count),
      ...(options.spool ? [options.spool] : []),
    ];
    const { exitCode, signal, stdout, stderr } = await execa(await packagePython(), [script, ...args], {
      env: { ...pythonEnv, ...options.env },
      reject: false,
      timeout: 60_000,
    });
    return { exitCode, signal, stdout, stderr };
  }

  interface Row {
    readonly message: string;
    readonly logger: string;
    readonly severity: number;
    readonly session: string;
    readonly attributes: Record<string, unknown>;
  }

  /** The records of logs.py, once `count` of them, apart from those of "background", are stored. */
  async function records(way: string, count: number): Promise<readonly Row[]> {
    return waitFor(`${count} records of ${way}`, async () => {
      const { rows } = await client.query<Row>(
        `select message, logger, severity, session_id as session, attributes from logs where device_id = $1
         order by session_id, sequence, idx`,
        [`logs-${way}`],
      );
      const awaited = rows.filter(({ message }) => !message.startsWith("background"));
      return awaited.length >= count && rows;
    });
  }

  test("has the records of all threads stored once, in the order of each, when the interpreter exits", async () => {
    assert.deepEqual(await run("threads", 1_000), { exitCode: 0, signal: undefined, stdout: "", stderr: "" });
    const rows = await records("threads", 4_000);
    assert.equal(rows.length, 4_000);
    for (const index of [0, 1, 2, 3]) {
      const name = `thread ${index}`;
      const own = rows.filter(({ message }) => message.startsWith(name));
      assert.deepEqual(
        own.map(({ message }) => message),
        numbered(name, 1_000),
      );
    }
    assert.deepEqual(rows[0]?.attributes, { number: 0 });
    assert.deepEqual([rows[0]?.logger, rows[0]?.severity], ["shop", 9]);
  });

  test("has the last record before its exit stored, with the exception", async () => {
    const { exitCode, stderr } = await run("exits", 10);
    assert.deepEqual([exitCode, stderr], [3, ""]);
    const rows = await records("exits", 11);
    const { message, severity, attributes } = rows.at(-1)!;
    assert.deepEqual([message, severity], ["failed", 17]);
    assert.equal(attributes["exception.type"], "ValueError");
    assert.equal(attributes["exception.message"], "the reason");
    assert.match(
      String(attributes["exception.stacktrace"]),
      /Traceback[^]*logs\.py[^]*ValueError: the reason/,
    );
  });

  test("may fork while it logs: parent and children have a session each, and nothing is lost or stored twice", async () => {
    const { exitCode, stderr } = await run("forks", 200);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    const names = ["fork 0", "fork 1", "fork 2", "worker 0", "worker 1", "parent"];
    const expected = names.flatMap((name) => numbered(name, 200));
    const rows = await records("forks", expected.length);
    const own = rows.map(({ message }) => message).filter((message) => !message.startsWith("background"));
    assert.deepEqual(own.toSorted(), expected.toSorted());
    const sessions = new Set(rows.map(({ session }) => session));
    assert.equal(sessions.size, names.length);
    const background = rows
      .map(({ message }) => message)
      .filter((message) => message.startsWith("background"));
    assert.deepEqual(background, numbered("background", background.length));
  });

  test("does not log what its own handler logs", async () => {
    const { stderr } = await run("itself", 50);
    assert.equal(stderr, "");
    const rows = await records("itself", 50);
    assert.deepEqual(new Set(rows.map(({ logger }) => logger)), new Set(["shop"]));
  });

  test("may log in the handler of a signal", async () => {
    const { exitCode, stderr } = await run("signals", 5_000);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    const rows = await records("signals", 5_000);
    const own = rows.map(({ message }) => message).filter((message) => message !== "signal");
    assert.deepEqual(own, numbered("signals", 5_000));
  });

  test("with a spool loses nothing when it is killed while no server is reachable", async () => {
    const spool = join(folder, "spool");
    const options = { spool, address: "127.0.0.1:1", env: { WAIT_SECONDS: "1" } };
    const { signal, stdout } = await run("killed", 100, options);
    assert.deepEqual([signal, stdout], ["SIGKILL", "wait False"]);
    assert.deepEqual((await readdir(spool)).length, 1);
    await run("killed", 100, { spool });
    const rows = await records("killed", 202);
    assert.equal(rows.length, 202);
    assert.equal(new Set(rows.map(({ session }) => session)).size, 2);
  });

  test("exits in time when no server is reachable, and says what is lost", async () => {
    const started = performance.now();
    const { exitCode, stderr } = await run("unreachable", 10, {
      address: "127.0.0.1:1",
      env: { EXIT_SECONDS: "1" },
    });
    assert.equal(exitCode, 0);
    assert.match(stderr, /closed with 10 records that no server acknowledged/);
    assert.ok(performance.now() - started < 60_000);
  });

  test("is what the example is", async () => {
    const example = join(projectFolder, "clients/python/example.py");
    const python = await packagePython();
    await execa(python, [example, "pump-17", system.grpcAddress], { env: pythonEnv, timeout: 60_000 });
    const { rows } = await waitFor("the records of the example", async () => {
      const result = await client.query<Row>(
        `select message, attributes from logs where device_id = 'pump-17' order by time`,
      );
      return result.rows.length >= 12 && result;
    });
    assert.deepEqual([rows[0]?.message, rows.at(-1)?.message, rows.length], ["started", "done", 12]);
    const { bar, count, "boot.reason": reason } = rows[1]?.attributes ?? {};
    assert.deepEqual([typeof bar, count, reason], ["number", 0, "power"]);
  });
});
