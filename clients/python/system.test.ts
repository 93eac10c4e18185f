import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { Redis } from "ioredis";
import { Client } from "pg";
import { projectFolder } from "#dev/folders.ts";
import { whyNoPython } from "#test/support/python-client.ts";
import { packagePython, pythonEnv } from "#test/support/python-package.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { sendMessages, startDevice } from "./testing/python-device.ts";

// The Python client and the whole of Fleetlog, whose parts fail.

const noPython = await whyNoPython();
const toName = (index: number) => `record ${index}`;

describe("a Python device", { skip: noPython ?? false }, () => {
  let system: TestSystem;
  let client: Client;
  let folder: string;
  before(async () => {
    await packagePython();
    folder = await mkdtemp(join(tmpdir(), "fleetlog-python-"));
    system = await startSystem({ env: { server: { HEARTBEAT_SECONDS: "1" } } });
    client = new Client({ connectionString: system.databaseUrl });
    await client.connect();
  });
  after(async () => {
    await client?.end();
    await system?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** All records from 0 to `count` are there, each once. */
  async function assertStoredOnce(deviceId: string, count: number): Promise<void> {
    const select = "select message from logs where device_id = $1";
    const { rows } = await waitFor(`${count} records of ${deviceId}`, async () => {
      const result = await client.query<{ message: string }>(select, [deviceId]);
      return result.rows.length >= count && result;
    });
    const expected = Array.from({ length: count }, (_, index) => toName(index));
    assert.deepEqual(rows.map(({ message }) => message).toSorted(), expected.toSorted());
    const reuses = "select details from incidents where kind not in ('group_lost', 'stream_lost')";
    assert.deepEqual((await client.query(reuses)).rows, []);
  }

  test("has every record stored once, whatever restarts beneath it", async () => {
    await using device = await startDevice("restarts", system.grpcAddress, "--gzip");
    let count = 0;
    const send = (batches: number) => {
      for (let batch = 0; batch < batches; batch += 1) sendMessages(device, toName(count++), toName(count++));
    };
    for (const server of system.servers) {
      send(50);
      await device.waitFor("acknowledged", count / 2 - 25);
      await server.kill();
      send(50);
      await device.waitFor("acknowledged", count / 2 - 10);
      await server.start();
    }
    for (let reload = 0; reload < 3; reload += 1) {
      send(50);
      await device.waitFor("acknowledged", count / 2 - 25);
      process.kill(system.nginx.pid, "SIGHUP");
    }
    await device.finish();
    assert.equal(device.all("acknowledged").length, count / 2);
    await assertStoredOnce("restarts", count);
  });

  test("with a spool loses nothing when it is killed, and leaves no file behind", async () => {
    const spool = join(folder, "spool");
    let count = 0;
    for (let life = 0; life < 3; life += 1) {
      const flags = ["--spool", spool];
      await using device = await startDevice("killed", system.grpcAddress, ...flags);
      for (let batch = 0; batch < 100; batch += 1) sendMessages(device, toName(count++));
      await device.waitFor("kept", 100);
      await device.kill();
    }
    await using last = await startDevice("killed", system.grpcAddress, "--spool", spool);
    await last.finish();
    await assertStoredOnce("killed", count);
    assert.deepEqual(await readdir(spool), []);
  });

  test("sends what it kept under the old numbers while nothing can be reached, once it can", async () => {
    const spool = join(folder, "unreachable");
    {
      const flags = ["--spool", spool];
      await using device = await startDevice("unreachable", "127.0.0.1:1", ...flags);
      for (let index = 0; index < 30; index += 1) sendMessages(device, toName(index));
      await device.waitFor("reconnect", 1);
      await device.waitFor("kept", 30);
      await device.kill();
    }
    await using device = await startDevice("unreachable", system.grpcAddress, "--spool", spool);
    for (let index = 30; index < 40; index += 1) sendMessages(device, toName(index));
    await device.finish();
    const recovered = device.all("acknowledged").filter((event) => event.recovered);
    assert.deepEqual(
      recovered.map(({ sequence }) => Number(sequence)),
      Array.from({ length: 30 }, (_, index) => index + 1),
    );
    await assertStoredOnce("unreachable", 40);
  });

  test("reports rejected records, declares a refused batch as dropped, and survives bytes that are none", async () => {
    const script = join(projectFolder, "test/clients/python-device/bad_batches.py");
    const { stdout } = await execa(await packagePython(), [script, "invalid", system.grpcAddress], {
      env: pythonEnv,
      timeout: 120_000,
    });
    assert.deepEqual(
      stdout.split("\n").map((line) => JSON.parse(line)),
      [
        { event: "Acknowledged", note: "first", accepted: 1, rejected: [1, 2] },
        { event: "Refused", note: "malformed", field: "batch" },
        { event: "Acknowledged", note: "last", accepted: 1, rejected: [] },
      ],
    );
  });

  test("keeps its batches while the server has no capacity for them, and asks not again before it may", async () => {
    await using device = await startDevice("exhausted", system.grpcAddress);
    const redis = new Redis(system.redis.url);
    try {
      sendMessages(device, toName(0));
      await device.waitFor("acknowledged", 1);
      const { used_memory: used } = Object.fromEntries(
        (await redis.info("memory")).split("\r\n").map((line) => line.split(":")),
      ) as Record<string, string>;
      await redis.config("SET", "maxmemory", String(Math.ceil(Number(used) * 0.5)));
      for (let index = 1; index < 20; index += 1) sendMessages(device, toName(index));
      await device.waitFor("later", 1);
      await redis.config("SET", "maxmemory", "0");
      await device.finish();
      await assertStoredOnce("exhausted", 20);
    } finally {
      redis.disconnect();
    }
  });

  test("declares what its memory cannot hold, so that the server misses nothing", async () => {
    const flags = ["--drop-oldest", "--pending-batches-max", "16"];
    await using device = await startDevice("drops", system.grpcAddress, ...flags);
    sendMessages(device, toName(0));
    await device.waitFor("acknowledged", 1);
    for (const server of system.servers) await server.stop();
    for (let index = 1; index < 300; index += 1) sendMessages(device, toName(index));
    await device.waitFor("dropped", 10);
    for (const server of system.servers) await server.start();
    await device.finish();
    const dropped = device
      .all("dropped")
      .reduce((sum, { first, last }) => sum + Number(last) - Number(first) + 1, 0);
    const total = device.all("acknowledged").length + dropped;
    assert.ok(total >= 300, `${total} of 300 batches have an outcome`);
    // The device declared dropped batches and sent all others: none is missing.
    await waitFor("the session to be complete", async () => {
      const response = await fetch(`${system.httpUrl}/v1/devices/drops`);
      const { sessions } = (await response.json()) as { sessions?: readonly Record<string, unknown>[] };
      const [session] = sessions ?? [];
      const settled = Number(session?.["recordCount"]) + Number(session?.["droppedCount"]);
      return settled === 300 && session?.["missingCount"] === "0";
    });
  });

  test("has every record stored once when Redis loses all that is not in PostgreSQL yet", async () => {
    const flags = ["--keep-until", "committed", "--commit-timeout-ms", "2000"];
    await using device = await startDevice("redis-loss", system.grpcAddress, ...flags);
    const redis = new Redis(system.redis.url);
    try {
      await system.consumer.stop();
      for (let index = 0; index < 40; index += 1) sendMessages(device, toName(index));
      await device.waitFor("acknowledged", 40);
      assert.deepEqual(device.all("committed"), []);
      await redis.flushall();
      await system.consumer.start();
      await device.finish();
      assert.equal(device.all("committed").at(-1)?.through, "40");
      await assertStoredOnce("redis-loss", 40);
    } finally {
      redis.disconnect();
    }
  });
});
