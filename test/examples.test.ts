import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { Client } from "pg";
import { projectFolder } from "#dev/folders.ts";
import { javaClassPath, rustPrograms, whyNoProgram } from "./support/built-clients.ts";
import { startSystem, type TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

// Every file of examples/ as its first lines say to run it: what it prints, and that its records are stored.

let system: TestSystem;
let client: Client;
before(async () => {
  system = await startSystem({});
  client = new Client({ connectionString: system.databaseUrl });
  await client.connect();
});
after(async () => {
  await client?.end();
  await system?.[Symbol.asyncDispose]();
});

const cwd = projectFolder;
/** The first build gets packages and compiles them. */
const timeout = 900_000;

const noRust = (await whyNoProgram("cargo")) ?? false;
const noJava = (await whyNoProgram("mvn")) ?? false;

describe("an example", () => {
  test("connect.ts sends by call and by stream", async () => {
    const { stdout } = await execa(
      process.execPath,
      ["examples/connect.ts", system.httpUrl, `http://${system.grpcAddress}`],
      { cwd, timeout: 60_000 },
    );
    assert.match(
      stdout,
      /call: batch 1: 1 accepted\nstream: batch 2: 1 accepted\s+stream: batch 3: 1 accepted/,
    );
    await stored("example-connect", 3);
  });

  test("grpc-js.ts streams", async () => {
    const { stdout } = await execa(process.execPath, ["examples/grpc-js.ts", system.grpcAddress], {
      cwd,
      timeout: 60_000,
    });
    assert.match(stdout, /batch 1: 1 accepted\s+batch 2: 1 accepted\s+batch 3: 1 accepted/);
    await stored("example-grpc-js", 3);
  });

  test("curl.sh sends JSON and reads it back", async () => {
    const { stdout } = await execa("examples/curl.sh", [system.httpUrl], { cwd, timeout: 60_000 });
    assert.match(stdout, /"accepted":2/);
    await stored("example-curl", 2);
  });

  test("buf-curl.sh sends by reflection", async () => {
    const { stdout } = await execa("examples/buf-curl.sh", [`http://${system.grpcAddress}`], {
      cwd,
      timeout: 60_000,
    });
    assert.equal(stdout.match(/"accepted": 1/g)?.length, 3);
    await stored("example-buf-curl", 3);
  });

  test("in Rust streams with tonic", { skip: noRust, timeout }, async () => {
    const { stdout } = await execa(
      (await rustPrograms())("fleetlog-example"),
      [`http://${system.grpcAddress}`],
      {
        timeout: 60_000,
      },
    );
    assert.match(stdout, /batch 1: 1 accepted None\nbatch 2: 1 accepted None\nbatch 3: 1 accepted None/);
    await stored("example-rust", 3);
  });

  test("in Java calls with grpc-java", { skip: noJava, timeout }, async () => {
    const classPath = await javaClassPath();
    const { stdout } = await execa("java", ["-cp", classPath, "Example", system.grpcAddress], {
      timeout: 60_000,
    });
    assert.match(stdout, /batch 1: 1 accepted\nbatch 2: 1 accepted\nbatch 3: 1 accepted/);
    await stored("example-java", 3);
  });
});

async function stored(deviceId: string, count: number): Promise<void> {
  await waitFor(`${count} records of ${deviceId}`, async () => {
    const { rows } = await client.query<{ n: number }>(
      "select count(*)::int as n from logs where device_id = $1",
      [deviceId],
    );
    return rows[0]!.n === count;
  });
}
