import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, lstatSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { TestCa, writeCertificate } from "#test/support/certificates.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { freePort } from "./free-port.ts";
import { processIdentity } from "./process-identity.ts";
import { Started, shell } from "./testing/start-in-test.ts";

describe("npm start", () => {
  let folder: string;
  let ports: { http: number; grpc: number };
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "start-"));
    ports = { http: await freePort(), grpc: await freePort() };
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const start = (env: Record<string, string> = {}) => new Started(folder, ports, env);

  test("starts, prints commands that work, and stops everything in reverse on one Ctrl-C", async () => {
    const ca = new TestCa();
    const { certificateFile, keyFile } = writeCertificate(join(folder, "server"), ca.issue("server"));
    const tls = `127.0.0.1:${await freePort()}`;
    const started = start({ TLS_CERT: certificateFile, TLS_KEY: keyFile, TLS_LISTEN: tls });
    await started.up();
    assert.ok(started.output.includes(`https://${tls}`), started.output);
    const caFile = join(folder, "ca.crt");
    await writeFile(caFile, ca.cert);
    assert.match(await shell(`curl -sS --cacert ${caFile} https://${tls}/livez`), /^ok$/m);
    const [push] = started.commands("curl");
    assert.match(await shell(push ?? ""), /"accepted":1/);
    const [, read] = started.commands("curl");
    await waitFor("the record", async () => (await shell(read ?? "")).includes("hello, Fleetlog"));
    const [send] = started.commands("npx fleetlog");
    assert.ok(send);

    const pids = await started.childPids();
    assert.equal(pids.length, 7);
    await assertSecret(folder, pids);
    // npm and the shell pass a Ctrl-C on, so it may come more than once.
    for (let time = 0; time < 3; time += 1) started.process.kill("SIGINT");
    assert.equal(await started.ended, 0);
    const stopped = [...started.output.matchAll(/✓ (.*) stopped/g)].map(([, part]) => part);
    assert.equal(stopped.join(), "Nginx,Gateway,Consumer,Ingest server 2,Ingest server 1,Redis,PostgreSQL");
    for (const pid of pids) assert.equal(processIdentity(pid), undefined);
  });

  test("starts on a copy of its stopped folder, which is a backup", async () => {
    const copy = `${folder}-copy`;
    await shell(`cp -a '${folder}' '${copy}'`);
    await rm(folder, { recursive: true });
    folder = copy;
    const started = start();
    await waitFor("the first part", () => started.output.includes("✓ PostgreSQL"));
    // No process takes a port of Nginx before it: no other program, and none of ours.
    for (const port of Object.values(ports)) {
      const other = createServer().listen(port, "127.0.0.1");
      await assert.rejects(once(other, "listening"), { code: "EADDRINUSE" });
    }
    await started.up();
    const [, read] = started.commands("curl");
    assert.match(await shell(read ?? ""), /hello, Fleetlog/);
    started.process.kill("SIGINT");
    assert.equal(await started.ended, 0);
  });

  test("restarts on the same data after a kill, refuses a second start beside it, and recovers", async () => {
    const killed = start();
    await killed.up();
    const left = await killed.childPids();
    killed.process.kill("SIGKILL");
    await killed.ended;

    const started = start();
    await started.up();
    for (const pid of left) assert.equal(processIdentity(pid), undefined, `${pid} was left running`);
    const [, read] = started.commands("curl");
    assert.match(await shell(read ?? ""), /hello, Fleetlog/);

    const second = start();
    assert.equal(await second.ended, 1);
    assert.match(second.output, new RegExp(`already runs in this folder, as process ${started.process.pid}`));

    const consumer = await started.pidOf("consumer");
    process.kill(consumer, "SIGKILL");
    await waitFor(
      "the consumer to be started again",
      () => started.output.includes("consumer is ready again"),
      20_000,
    );

    started.process.kill("SIGINT");
    assert.equal(await started.ended, 0);
    assert.deepEqual(await started.childPids(), []);
  });

  test("names a port in use and how to choose another, before it starts anything", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(ports.grpc, "127.0.0.1", resolve));
    const started = start();
    assert.equal(await started.ended, 1);
    other.close();
    assert.match(
      started.output,
      new RegExp(`Port ${ports.grpc} is in use .*FLEETLOG_GRPC_PORT=${ports.grpc + 1} npm start`),
    );
  });

  test("reports a host that is not this machine's, whatever the port", async () => {
    for (const host of ["nowhere.invalid", "192.0.2.1"]) {
      const started = start({ FLEETLOG_HOST: host });
      assert.equal(await started.ended, 1);
      assert.match(started.output, new RegExp(`^FLEETLOG_HOST: this machine cannot listen on ${host}`, "m"));
      assert.doesNotMatch(started.output, /choose another/);
    }
  });

  test("starts on localhost", async () => {
    const started = start({ FLEETLOG_HOST: "localhost", ALLOWED_HOSTS: "logs.example.org,logs.example.org" });
    await started.up();
    const [push] = started.commands("curl");
    assert.match(await shell(push ?? ""), /"accepted":1/);
    started.process.kill("SIGINT");
    assert.equal(await started.ended, 0);
  });

  test("starts on ::1, in a folder with a long and odd name, and prints its location", async () => {
    const parent = await mkdtemp(join(tmpdir(), "odd-"));
    const odd = join(parent, `it's "$HOME" \\ ü ${"x".repeat(150)}`);
    const started = new Started(odd, ports, { FLEETLOG_HOST: "::1" });
    await started.up();
    assert.ok(started.output.includes(`http://[::1]:${ports.http}`), started.output);
    const [push, read] = started.commands("curl");
    assert.match(await shell(push ?? ""), /"accepted":1/);
    await waitFor("the record", async () => (await shell(read ?? "")).includes("hello, Fleetlog"));
    const second = new Started(odd, ports, { FLEETLOG_HOST: "[::1]" });
    assert.equal(await second.ended, 1);
    assert.match(second.output, new RegExp(`already runs in this folder, as process ${started.process.pid}`));
    started.process.kill("SIGINT");
    assert.equal(await started.ended, 0);
    await rm(parent, { recursive: true });
  });

  test("names a wrong setting and the expected form", async () => {
    const started = start({ FLEETLOG_GRPC_PORT: "0" });
    assert.equal(await started.ended, 1);
    assert.match(started.output, /FLEETLOG_GRPC_PORT="0": expected an integer from 1 to 65535/);
  });

  test("refuses a certificate without its key, and names a missing file", async () => {
    const half = start({ TLS_CERT: "server.crt" });
    assert.equal(await half.ended, 1);
    assert.match(half.output, /TLS_CERT and TLS_KEY: expected both/);
    const missing = start({ TLS_CERT: "nowhere.crt", TLS_KEY: "nowhere.key" });
    assert.equal(await missing.ended, 1);
    assert.match(missing.output, /TLS_CERT=.*nowhere\.crt.*cannot be read/);
    assert.doesNotMatch(missing.output, /✓/);
  });

  test("says how to fix a broken data folder, and leaves nothing running", async () => {
    const appendOnly = join(folder, "redis/appendonlydir");
    for (const file of await readdir(appendOnly))
      await writeFile(join(appendOnly, file), "not what Redis wrote\n");
    const started = start();
    assert.equal(await started.ended, 1);
    assert.match(
      started.output,
      /Redis ended during start.*as it was.*FLEETLOG_FOLDER=… npm start.*Nothing was left running/s,
    );
    assert.match(started.output, /PostgreSQL stopped/);
    assert.deepEqual(await started.childPids(), []);
  });
});

/** Others on this machine can read no file of `folder`, and no password is in a command line or a log. */
async function assertSecret(folder: string, pids: readonly number[]): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const open = entries
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.endsWith(".crt") && !path.endsWith(".key")) // the test's own
    .filter((path) => {
      const stat = lstatSync(path, { throwIfNoEntry: false });
      return stat && !stat.isSymbolicLink() && !stat.isSocket() && (stat.mode & 0o066) !== 0;
    });
  assert.deepEqual(open, []);
  const passwords = JSON.parse(await readFile(join(folder, "redis-passwords.json"), "utf8")) as object;
  const texts = [
    ...pids.map((pid) => `/proc/${pid}/cmdline`).filter((path) => existsSync(path)),
    ...(await readdir(join(folder, "logs"))).map((name) => join(folder, "logs", name)),
  ];
  for (const path of texts) {
    const text = await readFile(path, "utf8");
    for (const password of Object.values(passwords) as string[]) assert(!text.includes(password), path);
  }
}
