import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { freePort } from "#dev/free-port.ts";
import { TestCa, writeCertificate } from "#test/support/certificates.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
let system: TestSystem;
let folder: string;
let ca: string;
let device: { certificateFile: string; keyFile: string };
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetlog-client-tls-"));
  const authority = new TestCa();
  ca = join(folder, "ca.crt");
  await writeFile(ca, authority.cert);
  device = writeCertificate(join(folder, "device"), authority.issue("host-1"));
  const server = writeCertificate(join(folder, "server"), authority.issue("server"));
  system = await startSystem({
    servers: 1,
    nginxSettings: { tls: { listen: `127.0.0.1:${await freePort()}`, ...server, clientCaFile: ca } },
  });
});
after(async () => {
  await system?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test("fleetlog send authenticates with its certificate", async () => {
  const { exitCode, all } = await send(
    "--tls",
    "--ca",
    ca,
    "--cert",
    device.certificateFile,
    "--key",
    device.keyFile,
  );
  assert.equal(exitCode, 0, all);
  assert.match(all, /1 record/);
});

test("without a certificate it gets an error that says so", async () => {
  const { exitCode, all } = await send("--tls", "--ca", ca);
  assert.equal(exitCode, 1, all);
  assert.match(all, /certificate/);
});

test("a missing file, and a certificate without its key, are named before anything is sent", async () => {
  const missing = await send("--tls", "--ca", join(folder, "nowhere.crt"));
  assert.equal(missing.exitCode, 1);
  assert.match(missing.all, /nowhere\.crt/);
  const half = await send("--tls", "--cert", device.certificateFile);
  assert.equal(half.exitCode, 1);
  assert.match(half.all, /--cert and --key: expected both/);
});

function send(...options: readonly string[]) {
  const args = [
    "send",
    "--device",
    "host-1",
    "--address",
    system.nginx.tls ?? "",
    "--give-up-after",
    "3",
    ...options,
  ];
  return execa(process.execPath, [main, ...args], {
    input: "hello\n",
    reject: false,
    all: true,
    timeout: 60_000,
  });
}
