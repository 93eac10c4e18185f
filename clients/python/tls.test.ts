import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { freePort } from "#dev/free-port.ts";
import { TestCa, writeCertificate } from "#test/support/certificates.ts";
import { whyNoPython } from "#test/support/python-client.ts";
import { packagePython, pythonEnv } from "#test/support/python-package.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";

const noPython = await whyNoPython();

describe("a Python program that logs over TLS", { skip: noPython ?? false }, () => {
  let system: TestSystem;
  let folder: string;
  let ca: string;
  let device: { certificateFile: string; keyFile: string };
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "fleetlog-python-tls-"));
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

  async function run(...args: readonly string[]): Promise<string> {
    const script = join(projectFolder, "test/clients/python-device/tls.py");
    const { stdout } = await execa(await packagePython(), [script, system.nginx.tls ?? "", ...args], {
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
    const other = join(folder, "other.crt");
    await writeFile(other, new TestCa("Other CA").cert);
    assert.match(await run(other), /CERTIFICATE_VERIFY_FAILED/);
  });
});
