import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, test } from "node:test";
import { execa } from "execa";
import { Client } from "pg";
import { goClient, whyNoGo } from "./support/go-client.ts";
import { pythonClient, whyNoPython } from "./support/python-client.ts";
import { startSystem, type TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

// Clients as protoc makes them for other languages, against the whole system. They keep messages, not bytes, and no two
// encodings of a message need be the same.

const [noGo, noPython] = await Promise.all([whyNoGo(), whyNoPython()]);
/** The first run after a change compiles grpc-go, which takes a minute of CPU. */
const timeout = 900_000;

let system: TestSystem;
let client: Client;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetlog-clients-"));
  system = await startSystem({ serverEnv: [{}, { GRPC_FAST_PATH: "off" }] });
  client = new Client({ connectionString: system.databaseUrl });
  await client.connect();
});
afterEach(async () => {
  await client?.end();
  await system?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test("a Go device that resends its unacknowledged messages has every record stored once", {
  skip: noGo ?? false,
  timeout,
}, async () => {
  await sendAgainByGo("go-device", system.grpcAddress);
});

test("a Go device that compresses with gzip does so too, with the fast path and without it", {
  skip: noGo ?? false,
  timeout,
}, async () => {
  const [fast, grpcJs] = system.servers.map(({ addresses }) => addresses.grpc ?? "");
  await sendAgainByGo("go-fast-path", fast!, { COMPRESSION: "gzip" });
  await sendAgainByGo("go-grpc-js", grpcJs!, { COMPRESSION: "gzip" });
});

async function sendAgainByGo(deviceId: string, address: string, env: Record<string, string> = {}) {
  const before = await duplicates();
  const programs = await goClient("go");
  const device = [deviceId, "boot-1", "200", "10", "50"];
  const go = execa(programs("client"), [address, ...device], { env, timeout: 170_000 });
  go.catch(() => {}); // the wait for its next line reports it
  const lines = createInterface(go.stdout)[Symbol.asyncIterator]();
  const nextLine = async () => (await lines.next()).value ?? (await go).stdout;
  assert.equal(await nextLine(), "acknowledged 50");
  await stored(deviceId, 200); // so all that it sends again is there already
  go.stdin.end("cut\n");
  const result = JSON.parse(await nextLine()) as Record<string, number>;
  await go;
  assert.deepEqual([result["sentAgain"], result["left"]], [150, 0]);
  assert.ok(result["changedBytes"]! > 100, `${result["changedBytes"]} of 150 batches had other bytes`);
  await storedOnce(deviceId, 200, before + 150);
}

test("a Python device that decodes its spool after a reboot, or sends it as JSON, has every record stored once", {
  skip: noPython ?? false,
  timeout,
}, async () => {
  const [python, ...args] = await pythonClient("python");
  const spool = join(folder, "spool");
  const run = async (...rest: readonly string[]) =>
    JSON.parse((await execa(python, [...args, ...rest], { timeout: 170_000 })).stdout) as Record<
      string,
      number
    >;
  assert.deepEqual(await run("send", system.grpcAddress, "python-device", "boot-1", "40", "10", spool), {
    sent: 40,
    changedBytes: 0,
  });
  await stored("python-device", 40);
  const again = await run("again", system.grpcAddress, spool);
  assert.equal(again["sent"], 40);
  assert.ok(again["changedBytes"]! > 10, `${again["changedBytes"]} of 40 batches had other bytes`);
  await run("json", system.httpUrl, spool);
  await storedOnce("python-device", 40, 80);
});

function stored(deviceId: string, batches: number): Promise<boolean> {
  return waitFor(
    `${batches} batches of ${deviceId}`,
    async () => (await counts(deviceId)).batches >= batches,
    120_000,
  );
}

/** Nothing but these batches is there, although `retries` of them came again. */
async function storedOnce(deviceId: string, batches: number, retries: number): Promise<void> {
  await waitFor(`${retries} retries to be recognised`, async () => (await duplicates()) >= retries, 120_000);
  assert.deepEqual(await counts(deviceId), { batches, records: 10 * batches, letters: 0 });
  assert.deepEqual((await client.query("select kind, details from incidents")).rows, []);
  const response = await fetch(`${system.httpUrl}/fleetlog.v1.IngestService/GetSession`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ deviceId, sessionId: "boot-1" }),
  });
  assert.equal(((await response.json()) as { committedThrough: string }).committedThrough, String(batches));
}

async function counts(deviceId: string): Promise<Record<"batches" | "records" | "letters", number>> {
  const { rows } = await client.query(
    `select (select count(*)::int from batches join devices on key = device_key where device_id = $1) as batches,
       (select count(*)::int from logs where device_id = $1) as records,
       (select count(*)::int from dead_letters) as letters`,
    [deviceId],
  );
  return rows[0];
}

/** Batches that the consumer has recognised so far. */
async function duplicates(): Promise<number> {
  const response = await fetch(`http://${system.consumer.addresses.admin}/metrics`);
  const [, count] =
    /^fleetlog_consumed_batches_total\{[^}]*outcome="duplicate"[^}]*\} (\d+)/m.exec(await response.text()) ??
    [];
  return Number(count ?? 0);
}
