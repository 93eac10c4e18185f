import assert from "node:assert/strict";
import { cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { Client } from "pg";
import { projectFolder } from "#dev/folders.ts";
import { cachedBuild } from "./support/cached-build.ts";
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
const buildTimeout = 800_000;

const noRust = await whyNot("cargo", "--version");
const noJava = await whyNot("mvn", "--version");

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
    const { stdout } = await execa(await rustExample(), [`http://${system.grpcAddress}`], {
      timeout: 60_000,
    });
    assert.match(stdout, /batch 1: 1 accepted None\nbatch 2: 1 accepted None\nbatch 3: 1 accepted None/);
    await stored("example-rust", 3);
  });

  test("in Java calls with grpc-java", { skip: noJava, timeout }, async () => {
    const classPath = await javaExample();
    const { stdout } = await execa("java", ["-cp", classPath, "Example", system.grpcAddress], {
      timeout: 60_000,
    });
    assert.match(stdout, /batch 1: 1 accepted\nbatch 2: 1 accepted\nbatch 3: 1 accepted/);
    await stored("example-java", 3);
  });
});

async function whyNot(program: string, ...args: string[]): Promise<string | false> {
  const { exitCode } = await execa(program, args, { reject: false });
  return exitCode === 0 ? false : `there is no ${program} in PATH`;
}

async function rustExample(): Promise<string> {
  const { stdout: version } = await execa("cargo", ["--version"]);
  const folder = await cachedBuild("rust", ["examples/rust", "proto/fleetlog"], version, async (work) => {
    const target = join(work, "target");
    await execa("cargo", ["build", "--quiet", "--locked", "--target-dir", target], {
      cwd: join(projectFolder, "examples/rust"),
      timeout: buildTimeout,
    });
    await rename(join(target, "debug/fleetlog-example"), join(work, "example"));
    await rm(target, { recursive: true });
  });
  return join(folder, "example");
}

/** Maven builds below the sources, which lie where the protos are: a copy of both. */
async function javaExample(): Promise<string> {
  const { stdout: version } = await execa("mvn", ["--version"]);
  const folder = await cachedBuild("java", ["examples/java", "proto/fleetlog"], version, async (work) => {
    const project = join(work, "examples/java");
    await cp(join(projectFolder, "examples/java"), project, { recursive: true });
    await cp(join(projectFolder, "proto/fleetlog"), join(work, "proto/fleetlog"), { recursive: true });
    const copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
    await execa("mvn", ["--quiet", "--batch-mode", "compile", copy, "-DoutputDirectory=target/libraries"], {
      cwd: project,
      timeout: buildTimeout,
    });
  });
  const target = join(folder, "examples/java/target");
  return `${join(target, "classes")}:${join(target, "libraries", "*")}`;
}

async function stored(deviceId: string, count: number): Promise<void> {
  await waitFor(`${count} records of ${deviceId}`, async () => {
    const { rows } = await client.query<{ n: number }>(
      "select count(*)::int as n from logs where device_id = $1",
      [deviceId],
    );
    return rows[0]!.n === count;
  });
}
