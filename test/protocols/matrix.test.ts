import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { freePort } from "#dev/free-port.ts";
import { TestCa, writeCertificate } from "#test/support/certificates.ts";
import { goClient, whyNoGo } from "#test/support/go-client.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { callByNode } from "./node-calls.ts";

// Every client × every RPC × every port, as docs/PROTOCOLS.md has it.

const rpcs = [
  ..."PushLogs StreamLogs GetSession GetLimits".split(" "),
  ..."ListLogs TailLogs GetHistogram GetStatistics ListFieldValues".split(" "),
  ..."ListDevices GetDevice ListDeadLetters ListIncidents".split(" "),
];
const protocols = ["connect", "connect-json", "grpc", "grpcweb"] as const;
const ports = ["http", "grpc", "tls"] as const;
const versions = [1, 2] as const;

type Port = (typeof ports)[number];
type Version = (typeof versions)[number];

const folder = mkdtempSync(join(tmpdir(), "fleetlog-protocols-"));
const caFile = join(folder, "ca.crt");
const device = "edge";
let system: TestSystem;
before(async () => {
  const ca = new TestCa();
  writeFileSync(caFile, ca.cert);
  const files = writeCertificate(join(folder, "server"), ca.issue("server"));
  const tls = { listen: `127.0.0.1:${await freePort()}`, ...files, serves: "everything" } as const;
  system = await startSystem({ nginxSettings: { tls } });
  const response = await fetch(`${system.httpUrl}/fleetlog.v1.IngestService/PushLogs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ batch: { deviceId: device, records: [{ message: "before all" }] } }),
  });
  assert.equal(response.status, 200);
  await waitFor("the device", async () => (await fetch(`${system.httpUrl}/v1/devices/${device}`)).ok);
});
after(async () => {
  await system[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function toAddress(port: Port): string {
  return system.nginx[port] ?? assert.fail();
}

/** From 1.25.1 on Nginx speaks both versions of HTTP on a plaintext port. */
function isSpoken(port: Port, version: Version): boolean {
  const [major = 0, minor = 0, patch = 0] = system.nginx.version.split(".").map(Number);
  const speaksBoth = port === "tls" || major * 1e6 + minor * 1e3 + patch >= 1_025_001;
  return speaksBoth || version === (port === "http" ? 1 : 2);
}

describe("connect-node", () => {
  for (const protocol of protocols) {
    for (const port of ports) {
      for (const version of protocol === "grpc" ? ([2] as const) : versions) {
        test(`${protocol} over HTTP/${version} on ${port} reaches every RPC`, async (t) => {
          if (!isSpoken(port, version)) return t.skip("this Nginx does not speak it there");
          const outcomes = await callByNode({
            protocol,
            httpVersion: version === 1 ? "1.1" : "2",
            baseUrl: `${port === "tls" ? "https" : "http"}://${toAddress(port)}`,
            caFile: port === "tls" ? caFile : undefined,
            device,
          });
          // Over HTTP/1.1 it sends all batches of a stream, and then reads the acks.
          assert.deepEqual(
            Object.fromEntries(outcomes),
            Object.fromEntries([...rpcs, "Health", "HealthWatch", "Reflection"].map((rpc) => [rpc, ""])),
          );
        });
      }
    }
  }
});

const skip = (await whyNoGo()) ?? false;

describe("Go's clients", { skip }, () => {
  let go: (program: string) => string;
  before(async () => {
    go = await goClient("go-edge");
  });

  for (const client of ["grpc-go", ...protocols]) {
    for (const port of ports) {
      for (const version of client === "grpc-go" ? ([2] as const) : versions) {
        test(`${client} over HTTP/${version} on ${port} reaches every RPC that can be, and else says why`, async () => {
          const { stdout } = await execa(
            go("client"),
            [
              `--client=${client}`,
              `--address=${toAddress(port)}`,
              `--http=${version}`,
              `--device=${device}`,
              ...(port === "tls" ? [`--ca=${caFile}`] : []),
            ],
            { timeout: 400_000 },
          );
          const lines = stdout.split("\n").map((line) => JSON.parse(line) as { rpc: string; error: string });
          assert.deepEqual(
            lines.map(({ rpc }) => rpc),
            [...rpcs, "Health", "Reflection"],
          );
          for (const { rpc, error } of lines)
            assert.match(error, expectedError(client, port, version, rpc), `${rpc}: ${error}`);
        });
      }
    }
  }

  const run = (...args: string[]) => execa(go("grpcurl"), args, { reject: false, timeout: 60_000 });
  for (const port of ports) {
    const tls = () => (port === "tls" ? ["-cacert", caFile] : ["-plaintext"]);
    test(`grpcurl finds and calls services by reflection on ${port}`, async (t) => {
      if (!isSpoken(port, 2)) {
        const { exitCode, stderr } = await run("-connect-timeout", "3", ...tls(), toAddress(port), "list");
        assert.notEqual(exitCode, 0);
        assert.match(stderr, /Failed to dial/);
        return t.diagnostic("HTTP/1.1 cannot carry gRPC");
      }
      const { stdout } = await run(...tls(), toAddress(port), "list");
      assert.match(stdout, /IngestService[^]*QueryService[^]*Health/);
      const devices = await run(...tls(), toAddress(port), "fleetlog.v1.QueryService/ListDevices");
      assert.match(devices.stdout, /"deviceId": "edge"/);
      const health = await run(...tls(), toAddress(port), "grpc.health.v1.Health/Check");
      assert.match(health.stdout, /"SERVING"/);
    });
  }
});

describe("buf curl", () => {
  const buf = join(projectFolder, "node_modules/.bin/buf");
  const push = `{"batch":{"deviceId":"${device}","records":[{}]}}`;
  const calls = [
    ["fleetlog.v1.IngestService/PushLogs", push, /"accepted": *1/],
    ["fleetlog.v1.IngestService/StreamLogs", push, /"accepted": *1/],
    ["fleetlog.v1.QueryService/ListDevices", "{}", /"deviceId": *"edge"/],
    ["grpc.health.v1.Health/Check", "{}", /"SERVING"/],
  ] as const;
  for (const protocol of ["grpc", "grpcweb", "connect"]) {
    for (const port of ports) {
      test(`${protocol} on ${port}`, async () => {
        for (const [method, data, expected] of calls) {
          const { all } = await execa(
            buf,
            [
              "curl",
              `--protocol=${protocol}`,
              `--data=${data}`,
              // It reflects by a stream, which it sends over HTTP/2 alone.
              ...(port === "http" ? ["--schema", "proto", "--schema", "rpc/proto"] : []),
              ...(port === "grpc" ? ["--http2-prior-knowledge"] : []),
              ...(port === "tls" ? ["--cacert", caFile] : []),
              `${port === "tls" ? "https" : "http"}://${toAddress(port)}/${method}`,
            ],
            { cwd: projectFolder, reject: false, all: true, timeout: 60_000 },
          );
          const isPossible = port !== "http" || (protocol !== "grpc" && !method.endsWith("/StreamLogs"));
          assert.match(
            all,
            isPossible
              ? expected
              : /HTTP\/2|HTTP status 505|HTTP\/1\.1|could not be established|closed network|EOF/,
            `${method}: ${all}`,
          );
        }
      });
    }
  }
});

/** Of a client in Go: what is impossible, and its error. Nothing when it works. */
function expectedError(client: string, port: Port, version: Version, rpc: string): RegExp {
  const isGrpc = client === "grpc" || client === "grpc-go";
  if (!isSpoken(port, version)) {
    // The library finds the other version of HTTP, in various words.
    return /^(?=.*(unavailable|Unavailable|unknown)).*(frame too large|could not be established|malformed HTTP|closed network|EOF)/s;
  }
  if (isGrpc && version === 1) return /HTTP status 505 HTTP Version Not Supported/;
  if ((rpc === "StreamLogs" || rpc === "Reflection") && version === 1)
    return /bidi streams require at least HTTP\/2/;
  return /^$/;
}
