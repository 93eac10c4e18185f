import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { execa } from "execa";
import { Client } from "pg";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { projectFolder } from "../folders.ts";
import { buildPackage } from "./build-package.ts";

// The package as its users get it: unpacked in a project of its own, beside the packages that it declares and no others.

let folder: string;
let system: TestSystem;
let client: Client;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetlog-package-"));
  await install(await buildPackage(join(folder, "build")));
  system = await startSystem({});
  client = new Client({ connectionString: system.databaseUrl });
  await client.connect();
});
after(async () => {
  await client?.end();
  await system?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test("the README's program runs on the package, and its records are stored", async () => {
  const program = (await codeInReadme("DeviceLog"))
    .replace("logs.example.com:50051", system.grpcAddress)
    .replace("/var/lib/pump/spool", join(folder, "spool"));
  await run("readme.mjs", program);
  const [row] = await storedLogs("pump-17", 1);
  assert.equal(row.message, "pressure is low");
  assert.deepEqual(row.attributes, { bar: 1.7, pump: "B", manual: false });
});

test("an application that logs with pino has every line stored once, in order, though it ends right after", async () => {
  const options = { deviceId: "pino-1", address: system.grpcAddress, recordsMax: 20 };
  const program = `
    import pino from "pino";
    const log = pino({ name: "app", transport: { target: "fleetlog-client/pino-transport", options: ${JSON.stringify(options)} } });
    for (let number = 1; number <= 100; number += 1) log.info({ number }, "line " + number);
    log.error(new TypeError("boom"), "failed");`;
  await run("pino.mjs", program);
  const rows = await storedLogs("pino-1", 101);
  assert.deepEqual(
    rows.slice(0, 100).map(({ message, attributes }) => [message, attributes["number"]]),
    Array.from({ length: 100 }, (_, index) => [`line ${index + 1}`, index + 1]),
  );
  assert.equal(rows[100]!.attributes["exception.type"], "TypeError");
  assert.equal(rows[100]!.logger, "app");
});

test("what pino's lines leave in the spool while no server answers, the next start sends", async () => {
  const common = { deviceId: "pino-2", spool: join(folder, "pino-spool"), closeMs: 300 };
  const program = (address: string, message: string) => `
    import pino from "pino";
    const log = pino({ transport: { target: "fleetlog-client/pino-transport", options: ${JSON.stringify({ ...common, address })} } });
    log.info(${JSON.stringify(message)});`;
  const { stderr } = await run("offline.mjs", program("127.0.0.1:9", "first"));
  assert.match(stderr, /fleetlog: .*the spool keeps them/);
  await run("online.mjs", program(system.grpcAddress, "second"));
  const rows = await storedLogs("pino-2", 2);
  assert.deepEqual(rows.map(({ message }) => message).sort(), ["first", "second"]);
});

test("its types check in a strict project, and a wrong option is an error there", async () => {
  const config = { strict: true, module: "nodenext", target: "esnext", noEmit: true, types: ["node"] };
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: config, files: ["user.mts"] }),
  );
  const check = async (source: string) => {
    await writeFile(join(folder, "user.mts"), source);
    return execa("tsc", ["-p", folder], { preferLocal: true, localDir: projectFolder, reject: false });
  };
  const program = await codeInReadme("DeviceLog");
  assert.equal((await check(program)).stdout, "");
  const { stdout } = await check(program.replace("deviceId:", "deviceIdentifier:"));
  assert.match(stdout, /user\.mts.*deviceIdentifier/);
});

test("holds JavaScript and types of the library alone", async () => {
  const { stdout } = await execa("tar", ["tzf", join(folder, "package.tgz")]);
  const files = stdout.split("\n").map((path) => path.replace(/^package\//, ""));
  const unexpected = files.filter(
    (path) => !/^(LICENSE|README\.md|package\.json|.*\.(js|d\.ts))$/.test(path),
  );
  assert.deepEqual(unexpected, []);
  assert.deepEqual(
    files.filter((path) => /server|consumer|gateway|testing|\.test\./.test(path)),
    [],
  );
});

async function install(tarball: string): Promise<void> {
  await cp(tarball, join(folder, "package.tgz"));
  const modules = join(folder, "node_modules");
  const target = join(modules, "fleetlog-client");
  await mkdir(target, { recursive: true });
  await execa("tar", ["xzf", tarball, "-C", target, "--strip-components=1"]);
  const manifest = JSON.parse(await readFile(join(target, "package.json"), "utf8")) as Manifest;
  const names = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)];
  for (const name of [...names, "@types/node"]) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(projectFolder, "node_modules", name), join(modules, name));
  }
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

async function run(name: string, program: string) {
  const path = join(folder, name);
  await writeFile(path, program);
  return execa(process.execPath, [path], { cwd: folder, timeout: 60_000 });
}

async function codeInReadme(word: string): Promise<string> {
  const readme = await readFile(join(folder, "node_modules/fleetlog-client/README.md"), "utf8");
  const blocks = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code = ""]) => code);
  return blocks.find((code) => code.includes(word)) ?? assert.fail(`no code with ${word}`);
}

interface StoredLog {
  readonly message: string;
  readonly logger: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

async function storedLogs(deviceId: string, count: number): Promise<readonly [StoredLog, ...StoredLog[]]> {
  const select = () =>
    client.query<StoredLog>(
      "select message, logger, attributes from logs where device_id = $1 order by session_id, sequence, idx",
      [deviceId],
    );
  await waitFor(`${count} records of ${deviceId}`, async () => (await select()).rowCount === count, 30_000);
  return (await select()).rows as [StoredLog, ...StoredLog[]];
}
