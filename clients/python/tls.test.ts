import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { TestCa } from "#test/support/certificates.ts";
import { whyNoPython } from "#test/support/python-client.ts";
import { packagePython, pythonEnv } from "#test/support/python-package.ts";
import { startTlsSystem } from "#test/support/tls-system.ts";

const noPython = await whyNoPython();

describe("a Python program that logs over TLS", { skip: noPython ?? false }, () => {
  let started: Awaited<ReturnType<typeof startTlsSystem>>;
  let ca: string;
  let device: { certificateFile: string; keyFile: string };
  before(async () => {
    started = await startTlsSystem();
    ({ ca, device } = started);
  });
  after(() => started?.[Symbol.asyncDispose]());

  async function run(...args: readonly string[]): Promise<string> {
    const script = join(projectFolder, "test/clients/python-device/tls.py");
    const { stdout } = await execa(await packagePython(), [script, started.system.nginx.tls ?? "", ...args], {
      env: pythonEnv,
      timeout: 120_000,
    });
    return stdout;
  }

  test("authenticates with its certificate", async () => {
    assert.equal(await run(ca, device.certificateFile, device.keyFile), "acknowledged");
  });

  test("learns that it needs one", async () => {
    assert.match(await run(ca), /certificate|status 400/);
  });

  test("sends nothing to a server that it cannot verify", async () => {
    const other = join(started.folder, "other.crt");
    await writeFile(other, new TestCa("Other CA").cert);
    assert.match(await run(other), /CERTIFICATE_VERIFY_FAILED/);
  });
});
