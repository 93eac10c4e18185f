import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { execa } from "execa";
import { Redis } from "ioredis";
import { Client } from "pg";
import { encodeRecord } from "#client/stream/record.ts";
import { DeviceProgram, type ProgramOptions } from "#test/support/device-program.ts";
import { whyNoGo } from "#test/support/go-client.ts";
import { goDevice, goPrograms } from "#test/support/go-package.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";

// The Go client and the whole of Fleetlog, whose parts fail. What is sent is counted in PostgreSQL.

const noGo = await whyNoGo();
/** The first build takes minutes. */
const timeout = 900_000;

describe("a Go device", { skip: noGo ?? false, timeout }, () => {
  let system: TestSystem;
  let client: Client;
  let redis: Redis;
  let folder: string;
  before(async () => {
    await goPrograms();
    folder = await mkdtemp(join(tmpdir(), "fleetlog-go-"));
    const server = { HEARTBEAT_SECONDS: "1" };
    system = await startSystem({ env: { server }, nginxSettings: { shutdownSeconds: 1 } });
    client = new Client({ connectionString: system.databaseUrl });
    await client.connect();
    redis = new Redis(system.redis.url);
  });
  after(async () => {
    redis?.disconnect();
    await client?.end();
    await system?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  let sessions = 0;
  const start = async (deviceId: string, options: Partial<ProgramOptions> = {}) =>
    new DeviceProgram(await goDevice(), {
      deviceId,
      session: `run-${++sessions}`,
      grpc: system.grpcAddress,
      http: system.httpUrl,
      ...options,
    });

  /** The records from 0 to `count` - 1 are there, each once. */
  async function assertStoredOnce(deviceId: string, count: number): Promise<void> {
    const read = async () => {
      const { rows } = await client.query<{ message: string }>(
        "select message from logs where device_id = $1 order by message",
        [deviceId],
      );
      return rows.map(({ message }) => message);
    };
    await waitFor(`${count} records of ${deviceId}`, async () => (await read()).length >= count, 120_000);
    const expected = Array.from({ length: count }, (_, index) => `record ${index}`).toSorted();
    assert.deepEqual((await read()).toSorted(), expected);
  }

  for (const [how, interrupt] of [
    ["stopped", (server: TestSystem["servers"][number]) => server.stop()],
    ["killed", (server: TestSystem["servers"][number]) => server.kill()],
  ] as const) {
    test(`has every record stored once while each ingest server in turn is ${how} and comes back`, async () => {
      await using device = await start(how, { flags: how === "stopped" ? ["--gzip"] : [] });
      let sent = 0;
      for (const server of system.servers) {
        await sendSlowly(device, sent, (sent += 200));
        const restarted = interrupt(server).then(() => server.start());
        await sendSlowly(device, sent, (sent += 400));
        await restarted;
      }
      await device.finish();
      assert.notEqual(device.all("reconnect").length, 0);
      assert.equal(device.all("acknowledged").length, sent);
      await assertStoredOnce(how, sent);
    });
  }

  test("has every record stored once while Nginx is reloaded", async () => {
    await using device = await start("reloaded");
    let sent = 0;
    await sendSlowly(device, sent, (sent += 50));
    // A stream that ends while nothing is in flight is no event: reload until one is met.
    for (let turn = 0; turn < 20 && device.all("reconnect").length === 0; turn += 1) {
      process.kill(system.nginx.pid, "SIGHUP");
      const until = performance.now() + 2_000; // the old worker goes after a second
      while (performance.now() < until) {
        await sendSlowly(device, sent, (sent += 10));
        await device.waitFor("acknowledged", sent - 20);
      }
    }
    assert.notEqual(device.all("reconnect").length, 0);
    await device.finish();
    await assertStoredOnce("reloaded", sent);
  });

  test("sends after kill -9 what its spool kept, first and under its numbers", async () => {
    const spool = join(folder, "spool");
    {
      await using device = await start("killed-device", { spool, grpc: "127.0.0.1:1" });
      for (let index = 0; index < 100; index += 1) device.send(toBatch(index));
      await device.waitFor("kept", 100);
      await device.kill();
    }
    await using device = await start("killed-device", { spool });
    device.send(toBatch(100));
    await device.finish();
    const acks = device.all("acknowledged");
    assert.deepEqual(
      acks.map(({ recovered, sequence }) => [recovered ?? false, Number(sequence)]),
      [...Array.from({ length: 100 }, (_, index) => [true, index + 1]), [false, 1]],
    );
    await assertStoredOnce("killed-device", 101);
    assert.deepEqual(
      (await readdir(spool)).filter((name) => name.endsWith(".spool") && !name.startsWith("00000002")),
      [],
    );
  });

  test("reports bad records with their reasons, and has their neighbours stored", async () => {
    await using device = await start("bad");
    device.send([toRecord(0), encodeRecord({ message: "nul \0" }), toRecord(1)]);
    await device.finish();
    const [ack] = device.all("acknowledged");
    assert.equal(ack?.accepted, 2);
    assert.match(
      ack?.rejections?.map(({ index, reason }) => `${index} ${reason}`).join() ?? "",
      /^1 message .*NUL/,
    );
    await assertStoredOnce("bad", 2);
  });

  test("drops the oldest batches of a full spool, and declares them", async () => {
    const spool = join(folder, "full");
    const flags = ["--drop-oldest", "--pending-batches-max", "8"];
    {
      await using device = await start("full", { spool, flags, session: "full", grpc: "127.0.0.1:1" });
      for (let index = 0; index < 20; index += 1) device.send(toBatch(index));
      await device.waitFor("kept", 20);
      await device.waitFor("dropped", 13); // events come on their own
      assert.equal(device.all("dropped").length, 13);
    }
    await using device = await start("full", { spool });
    await device.finish();
    const { rows } = await waitFor("the declaration", async () => {
      const found = await client.query(
        `select first_sequence::int as first, last_sequence::int as last, reason
         from drops join devices on key = device_key where device_id = 'full'`,
      );
      return found.rows.length > 0 && found;
    });
    assert.deepEqual(rows, [{ first: 1, last: 13, reason: "spool full" }]);
    const { rows: kept } = await client.query<{ message: string }>(
      "select message from logs where device_id = 'full' order by sequence",
    );
    assert.deepEqual(
      kept.map(({ message }) => message),
      Array.from({ length: 7 }, (_, index) => `record ${index + 13}`),
    );
  });

  test("that keeps batches until they are committed loses none with Redis", async () => {
    await using device = await start("committed", { keepUntil: "committed" });
    await system.consumer.stop();
    for (let index = 0; index < 50; index += 1) device.send(toBatch(index));
    await device.waitFor("acknowledged", 50);
    assert.equal(device.all("committed").length, 0);
    await redis.flushall();
    await system.consumer.start();
    await device.finish();
    assert.equal(device.all("committed").at(-1)?.through, "50");
    await assertStoredOnce("committed", 50);
  });

  test("waits as long as a full system asks, and loses nothing", async () => {
    await using device = await start("postponed");
    await redis.config("SET", "maxmemory", "1");
    device.send(toBatch(0));
    await device.waitFor("later", 1);
    await redis.config("SET", "maxmemory", "0");
    await device.finish();
    await assertStoredOnce("postponed", 1);
  });

  test("that copies the example has its record stored", async () => {
    const env = { FLEETLOG_ADDRESS: system.grpcAddress, FLEETLOG_SPOOL: join(folder, "example") };
    await execa((await goPrograms())("example"), { env, timeout: 60_000 });
    const { rows } = await waitFor("the record", async () => {
      const found = await client.query(
        "select message, severity, logger, attributes from logs where device_id = 'pump-17'",
      );
      return found.rows.length > 0 && found;
    });
    assert.deepEqual(rows, [
      {
        message: "pressure is low",
        severity: 13,
        logger: "hydraulics",
        attributes: { bar: 1.7, valve: "A3" },
      },
    ]);
    const { rows: devices } = await client.query(
      "select info->>'firmware' as firmware from devices where device_id = 'pump-17'",
    );
    assert.deepEqual(devices, [{ firmware: "2.1.0" }]);
  });
});

function toRecord(index: number): Uint8Array {
  return encodeRecord({ message: `record ${index}`, timeUnixNano: BigInt(Date.now()) * 1_000_000n });
}

function toBatch(index: number): readonly Uint8Array[] {
  return [toRecord(index)];
}

/** Sends batches from number `from` to `to` - 1, one record each, at a pace that a fault can meet. */
async function sendSlowly(device: DeviceProgram, from: number, to: number): Promise<void> {
  for (let index = from; index < to; index += 1) {
    device.send(toBatch(index));
    if (index % 10 === 0) await device.waitFor("acknowledged", Math.max(0, index - from - 100));
  }
}
