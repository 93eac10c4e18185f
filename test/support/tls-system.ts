import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "#dev/free-port.ts";
import { TestCa, writeCertificate } from "./certificates.ts";
import { startSystem } from "./system.ts";

/** A system whose devices need a certificate, and the files of an authority and of one device, host-1. */
export async function startTlsSystem() {
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-tls-"));
  const authority = new TestCa();
  const ca = join(folder, "ca.crt");
  await writeFile(ca, authority.cert);
  const device = writeCertificate(join(folder, "device"), authority.issue("host-1"));
  const server = writeCertificate(join(folder, "server"), authority.issue("server"));
  const system = await startSystem({
    servers: 1,
    nginxSettings: { tls: { listen: `127.0.0.1:${await freePort()}`, ...server, clientCaFile: ca } },
  });
  return {
    system,
    folder,
    ca,
    device,
    [Symbol.asyncDispose]: async () => {
      await system[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
