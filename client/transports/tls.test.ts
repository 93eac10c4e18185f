import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { startTlsSystem } from "#test/support/tls-system.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
let started: Awaited<ReturnType<typeof startTlsSystem>>;
let ca: string;
let device: { certificateFile: string; keyFile: string };
before(async () => {
  started = await startTlsSystem();
  ({ ca, device } = started);
});
after(() => started?.[Symbol.asyncDispose]());

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
  const missing = await send("--tls", "--ca", join(started.folder, "nowhere.crt"));
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
    started.system.nginx.tls ?? "",
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
