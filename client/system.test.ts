import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { exitCodes, send } from "#client/send/send.ts";
import { readFrame } from "#client/spool/frames.ts";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { encodeRecord } from "#client/stream/record.ts";
import { StoredLogs } from "#client/testing/stored-logs.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";

// The command and the examples against the whole of Fleetlog: two ingest servers behind Nginx, Redis, the consumer
// and PostgreSQL.

const project = fileURLToPath(new URL("..", import.meta.url));
let system: TestSystem;
let stored: StoredLogs;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetlog-client-"));
  system = await startSystem({ nginxSettings: { shutdownSeconds: 1 } });
  stored = new StoredLogs(system.databaseUrl);
});
after(async () => {
  await stored?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** How many batches are in the files of a spool that is in use. */
async function spooledBatches(spool: string): Promise<number> {
  let count = 0;
  for (const name of await readdir(spool)) {
    const bytes = await readFile(join(spool, name));
    for (let next = readFrame(bytes, 0); next !== undefined; next = readFrame(bytes, next.end)) {
      if (next.frame.kind === "batch") count++;
    }
  }
  return count;
}

const fleetlog = (...args: string[]) =>
  execa(process.execPath, ["client/fleetlog.mjs", "send", "--address", system.grpcAddress, ...args], {
    cwd: project,
    reject: false,
    timeout: 60_000,
  });

/** Lines that a careless way of storing would change. */
const awkwardLines = Array.from({ length: 5_000 }, (_, n) => {
  const awkward = [
    "",
    "\r",
    "\\.",
    "\t\ttabs\t",
    "üñí 🌡 \u{10FFFF}",
    "\\N",
    '"; drop',
    " spaces ",
    "x".repeat(65_536),
  ];
  return n % 500 < awkward.length ? (awkward[n % 500] ?? "") : `2026-11-01T12:00:00Z line ${n} WARN`;
});

describe("fleetlog send, with the whole system", () => {
  test("stores every line once, byte for byte, in order", async () => {
    const path = await file("awkward.log", awkwardLines.join("\n"));
    const { exitCode, stdout, stderr } = await fleetlog("--device", "awkward", path);
    assert.equal(stderr, "");
    assert.equal(exitCode, exitCodes.acknowledged);
    assert.match(stdout, /^5,000 lines read, 5,000 records acknowledged, 0 rejected, /);
    const records = await stored.toRecords("awkward", awkwardLines.length);
    assert.deepEqual(
      records.map(({ message }) => message),
      awkwardLines,
    );
    assert.deepEqual(
      records.map(({ attributes }) => attributes),
      awkwardLines.map((_, n) => ({ file: path, line: String(n + 1) })),
    );
  });

  test("stores the machine's own logs unchanged", async (t) => {
    const path = "/var/log/dpkg.log";
    const content = await readFile(path, "utf8").catch(() => undefined);
    if (!content) return t.skip(`${path} is not there`);
    const lines = content.replace(/\n$/, "").split("\n");
    const { exitCode } = await fleetlog("--device", "dpkg", "--quiet", path);
    assert.equal(exitCode, exitCodes.acknowledged);
    const records = await stored.toRecords("dpkg", lines.length);
    assert.deepEqual(
      records.map(({ message }) => message),
      lines,
    );
  });

  test("recognises a repeated run by its session", async () => {
    const lines = Array.from({ length: 1_234 }, (_, n) => `line ${n}`);
    const path = await file("repeated.log", lines.join("\n"));
    for (const _ of [1, 2]) {
      const { exitCode } = await fleetlog("--device", "repeated", "--session", "first-try", path);
      assert.equal(exitCode, exitCodes.acknowledged);
    }
    await fleetlog("--device", "repeated", "--session", "z-last", await file("last.log", "end\n"));
    const records = await stored.toRecords("repeated", lines.length + 1);
    assert.deepEqual(
      records.map(({ message }) => message),
      [...lines, "end"],
    );
  });

  test("stores every run of a pipe with a reused session, and reports that its numbers came again", async () => {
    const args = ["--address", system.grpcAddress, "--device", "piped", "--session", "nightly"];
    const runs = ["first", "second", "first"];
    for (const input of runs) {
      const { exitCode } = await execa(process.execPath, ["client/fleetlog.mjs", "send", ...args], {
        cwd: project,
        input,
        timeout: 60_000,
      });
      assert.equal(exitCode, exitCodes.acknowledged);
    }
    const records = await stored.toRecords("piped", runs.length);
    assert.deepEqual(records.map(({ message }) => message).toSorted(), runs.toSorted());
    await waitFor("the incidents", async () =>
      /sequence_reused[^]*sequence_reused/.test(await (await fetch(`${system.httpUrl}/v1/incidents`)).text()),
    );
  });

  test("reports each bad line with its reason, and stores its neighbours", async () => {
    const path = await file(
      "bad.log",
      Buffer.concat([
        Buffer.from("good 1\nnul \0\ngood 2\nnot utf-8 "),
        Buffer.from([0xc3, 0x28]),
        Buffer.from(`\ngood 3\n${"x".repeat(65_537)}\ngood 4\n`),
      ]),
    );
    const { exitCode, stdout, stderr } = await fleetlog("--device", "bad", path);
    assert.equal(exitCode, exitCodes.refused);
    const problems = stderr.split("\n");
    assert.match(problems[0] ?? "", /bad\.log:2: message .*NUL/);
    assert.match(problems[1] ?? "", /bad\.log:4: message .*UTF-8/);
    assert.match(stdout, /7 lines read, 5 records acknowledged, 2 rejected/);
    const records = await stored.toRecords("bad", 5);
    assert.deepEqual(
      records.map(({ message }) => message),
      ["good 1", "good 2", "good 3", "x".repeat(65_536), "good 4"],
    );
    assert.deepEqual((await stored.waitForRejectReasons("bad", 2)).length, 2);
  });

  test("exits with 1 and a reason when no server runs", async () => {
    const path = await file("unreachable.log", "a\n");
    const options = ["--device", "lonely", "--address", "127.0.0.1:1", "--give-up-after", "1"];
    const { exitCode, stderr } = await fleetlog(...options, path);
    assert.equal(exitCode, exitCodes.failed);
    assert.match(stderr, /ECONNREFUSED/);
    assert.match(stderr, /not acknowledged: .*unreachable\.log:1\n/);
  });

  test("with a spool, sends the batches of a killed run once, and loses no line", async () => {
    const lines = Array.from({ length: 4_000 }, (_, n) => `line ${n}`);
    const args = ["--device", "killed", "--spool", join(folder, "spool"), "--batch-records", "10"];
    const unreachable = ["--address", "127.0.0.1:1", "--give-up-after", "3600"];
    const path = await file("killed.log", lines.join("\n"));
    const killed = fleetlog(...args, ...unreachable, path);
    await waitFor("the spool", async () => (await spooledBatches(join(folder, "spool"))) === 400);
    killed.kill("SIGKILL");
    await killed;
    const { exitCode, stdout } = await fleetlog(...args, await file("nothing.log", ""));
    assert.equal(exitCode, exitCodes.acknowledged);
    assert.match(stdout, /^0 lines read, 0 records acknowledged, 4,000 records of earlier runs, 0 rejected/);
    const records = await stored.toRecords("killed", lines.length);
    assert.deepEqual(
      records.map(({ message }) => message),
      lines,
    );
  });

  for (const [how, interrupt] of [
    ["is stopped", (server: TestSystem["servers"][number]) => server.stop()],
    ["is killed", (server: TestSystem["servers"][number]) => server.kill()],
  ] as const) {
    test(`stores every line once, in order, while each ingest server in turn ${how} and comes back`, async () => {
      const deviceId = `server-${how.replaceAll(" ", "-")}`;
      const lines: string[] = [];
      const someLines = () => {
        const some = Array.from({ length: 500 }, (_, n) => `${how} line ${lines.length + n}`);
        lines.push(...some);
        return Buffer.from(`${some.join("\n")}\n`);
      };
      async function* input() {
        for (const server of system.servers) {
          for (let turn = 0; turn < 10; turn++) yield someLines();
          const restarted = interrupt(server).then(() => server.start());
          for (let turn = 0; turn < 40; turn++) yield someLines();
          await restarted;
        }
      }
      const said: string[] = [];
      const say = (text: string) => void said.push(text);
      const exitCode = await send(
        { deviceId, inputs: ["-"], address: system.grpcAddress, batchRecordsMax: 50 },
        {
          stdin: Readable.from(input()),
          output: { result: say, problem: say },
          signal: new AbortController().signal,
        },
      );
      assert.equal(exitCode, exitCodes.acknowledged, said.join("\n"));
      assert.match(said.at(-1) ?? "", / [1-9]\d* reconnects/);
      const records = await stored.toRecords(deviceId, lines.length);
      assert.deepEqual(
        records.map(({ message }) => message),
        lines,
      );
    });
  }

  test("stores every record once, in order, while Nginx is reloaded", async () => {
    const reconnects: string[] = [];
    using stream = new DeviceStream({
      deviceId: "nginx-reload",
      address: system.grpcAddress,
      onReconnect: ({ reason }) => void reconnects.push(reason),
    });
    const sent: string[] = [];
    const sendOne = async () => {
      const message = `record ${sent.length}`;
      sent.push(message);
      await stream.send([encodeRecord({ message })], undefined);
    };
    await sendOne();
    await stream.flush();
    process.kill(system.nginx.pid, "SIGHUP");
    // The old worker goes, and the stream with it, when its time to shut down is over.
    const giveUpAt = performance.now() + 15_000;
    while (reconnects.length === 0 && performance.now() < giveUpAt) await sendOne();
    assert.notEqual(reconnects.length, 0);
    await sendOne();
    await stream.flush();
    const records = await stored.toRecords("nginx-reload", sent.length);
    assert.deepEqual(
      records.map(({ message }) => message),
      sent,
    );
  });
});

describe("the examples", () => {
  const examples: readonly [
    file: string,
    args: () => string[],
    device: string,
    messages: readonly string[],
  ][] = [
    [
      "grpc-js.ts",
      () => [system.grpcAddress],
      "example-grpc-js",
      ["hello 1 from grpc-js", "hello 2 from grpc-js", "hello 3 from grpc-js"],
    ],
    [
      "connect.ts",
      () => [system.httpUrl, `http://${system.grpcAddress}`],
      "example-connect",
      ["hello from a Connect call", "hello 2 from a gRPC stream", "hello 3 from a gRPC stream"],
    ],
    ["curl.sh", () => [system.httpUrl], "example-curl", ["hello from curl", "low on coffee"]],
    [
      "buf-curl.sh",
      () => [`http://${system.grpcAddress}`],
      "example-buf-curl",
      ["first of a stream", "hello from buf curl", "second of a stream"],
    ],
  ];
  for (const [name, args, device, messages] of examples) {
    test(`${name} sends what it says`, async () => {
      const path = join(project, "examples", name);
      const run = name.endsWith(".sh") ? execa(path, args()) : execa(process.execPath, [path, ...args()]);
      const { stdout } = await run;
      assert.match(stdout, /accepted/);
      const records = await stored.toRecords(device, messages.length);
      assert.deepEqual(records.map(({ message }) => message).sort(), [...messages].sort());
    });
  }
});
