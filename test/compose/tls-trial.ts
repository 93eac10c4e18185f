import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { TestCa, writeCertificate } from "#test/support/certificates.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { Trial } from "./trial.ts";

const push = '{"batch":{"deviceId":"kettle","records":[{"message":"by TLS"}]}}';

/** Turns TLS on in what runs, asks devices for certificates, and renews the server's, with the commands of docs/operations/secure.md. */
export async function tryTls(trial: Trial): Promise<void> {
  const tlsFolder = join(trial.folder, "tls");
  const url = `https://127.0.0.1:${trial.ports.tls}`;
  const serverCa = new TestCa("Server CA");
  const devicesCa = new TestCa("Devices CA");
  const caFile = join(trial.folder, "server-ca.crt");
  writeFileSync(caFile, serverCa.cert);
  writeFileSync(join(tlsFolder, "devices-ca.crt"), devicesCa.cert);
  const issueServer = (name: string) => {
    const files = writeCertificate(join(tlsFolder, "server"), serverCa.issue(name));
    chmodSync(files.keyFile, 0o644); // Nginx reads it as another user, whose file it can become only by root
  };
  issueServer("first");
  const own = writeCertificate(join(trial.folder, "kettle"), devicesCa.issue("kettle"));
  const foreign = writeCertificate(join(trial.folder, "foreign"), new TestCa("Another CA").issue("kettle"));

  const others = ["server", "consumer", "gateway", "redis", "postgres"];
  const before = await trial.started(others);
  trial.set({
    TLS_CERT: "/tls/server.crt",
    TLS_KEY: "/tls/server.key",
    TLS_CLIENT_CA: "/tls/devices-ca.crt",
    TLS_SERVES: "everything",
  });
  await trial.manage("start");
  assert.equal(await trial.started(others), before, "only Nginx is replaced");

  /** What curl got, then the version of HTTP and the status. */
  const curl = async (path: string, ...args: readonly string[]) =>
    (
      await execa("curl", [
        "-sS",
        "-w",
        " HTTP/%{http_version} %{http_code}",
        "--cacert",
        caFile,
        ...args,
        url + path,
      ])
    ).stdout;
  const certificate = (files: typeof own) => ["--cert", files.certificateFile, "--key", files.keyFile];
  const json = ["-H", "content-type: application/json", "-d", push];
  const ingest = "/fleetlog.v1.IngestService/PushLogs";

  assert.match(await curl("/", "-H", "accept: text/html"), /<script type="module"[^]* HTTP\/2 200$/);
  assert.match(await curl("/v1/devices", "--http1.1"), /"deviceId":"trial".* HTTP\/1.1 200$/);
  assert.match(await curl(ingest, ...json, ...certificate(own)), /"accepted":1.* HTTP\/2 200$/);
  for (const refused of [[], certificate(foreign)])
    assert.match(await curl(ingest, ...json, ...refused), /"unauthenticated".* HTTP\/2 401$/);

  const log = join(trial.folder, "kettle.log");
  writeFileSync(log, "one\ntwo\n");
  /** By gRPC, as docs/operations/secure.md tells to try it. */
  const send = (...args: readonly string[]) =>
    execa(
      process.execPath,
      [
        "client/main.ts",
        "send",
        "--device",
        "kettle-grpc",
        "--address",
        new URL(url).host,
        "--tls",
        "--ca",
        caFile,
        ...args,
        log,
      ],
      { cwd: projectFolder, reject: false, all: true, timeout: 30_000 },
    );
  const sent = await send(...certificate(own));
  assert.match(sent.all, /2 records acknowledged/);
  for (const refused of [[], certificate(foreign)]) {
    const { exitCode, all } = await send(...refused);
    assert.notEqual(exitCode, 0);
    assert.match(all, /UNAUTHENTICATED/i);
  }
  const stored = "SELECT string_agg(message, ' ' ORDER BY message) FROM logs WHERE device_id LIKE 'kettle%'";
  await waitFor("what was accepted, and no more", async () => (await trial.sql(stored)) === "by TLS one two");

  issueServer("renewed");
  await trial.compose("kill", "--signal", "HUP", "nginx");
  await waitFor("the renewed certificate", async () => {
    const { all } = await execa("curl", ["-sSv", "-o", "/dev/null", "--cacert", caFile, url], { all: true });
    return /subject: CN=renewed/.test(all);
  });
  assert.match(await trial.manage("doctor"), /certificate.*\n[^]*, 0 wrong$/m);
}
