import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Redis } from "ioredis";
import { Client } from "pg";
import { type DeviceRecord, encodeRecord } from "#client/stream/record.ts";
import { type AttributeSchema, LogRecordSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { Hop } from "#test/faults/hop.ts";
import { cDevice, whyNoC } from "#test/support/c-client.ts";
import { DeviceProgram, type ProgramOptions } from "#test/support/device-program.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";

const noC = await whyNoC();
/** The first run after a change compiles. */
const timeout = 600_000;

describe("a device in C against the whole system", { skip: noC ?? false, timeout }, () => {
  let system: TestSystem;
  let client: Client;
  let folder: string;
  let devices = 0;
  let deviceId: string;
  before(async () => {
    const full = { BACKLOG_ENTRIES_MAX: "100" };
    system = await startSystem({ serverEnv: [full, full] });
    client = new Client({ connectionString: system.databaseUrl });
    await client.connect();
  });
  after(async () => {
    await client?.end();
    await system?.[Symbol.asyncDispose]();
  });
  beforeEach(async (context) => {
    deviceId = `c-${++devices}`;
    folder = await mkdtemp(join(tmpdir(), "fleetlog-c-"));
    if ("after" in context) context.after(() => rm(folder, { recursive: true, force: true }));
  });

  /** Short pauses, which come last. */
  const pace = ["--backoff-base-ms", "10", "--backoff-cap-ms", "100"];
  const start = async ({ flags = [], ...options }: Partial<ProgramOptions> = {}) =>
    new DeviceProgram(await cDevice(), {
      deviceId,
      session: "boot-1",
      grpc: system.grpcAddress,
      http: system.httpUrl,
      flags: [...pace, ...flags],
      ...options,
    });
  const messages = async () =>
    (
      await client.query<{ message: string }>(
        "select message from logs where device_id = $1 order by session_id, sequence, idx",
        [deviceId],
      )
    ).rows.map(({ message }) => message);
  const stored = async (expected: readonly string[]) => {
    await waitFor(
      `${expected.length} records`,
      async () => (await messages()).length >= expected.length,
      60_000,
    );
    assert.deepEqual(await messages(), expected);
    assert.deepEqual(
      (await client.query("select kind, details from incidents where kind = 'sequence_reused'")).rows,
      [],
    );
  };

  test("stores every field of a record, and what the device says about itself", async () => {
    await using device = await start({ flags: ["--firmware", "2.1.0"] });
    const values = {
      timeUnixNano: 1_700_000_000_123_456_000n,
      uptimeNano: 77_000_000_000n,
      observedTimeUnixNano: 1_700_000_001_000_000_000n,
      severity: 13,
      severityText: "notice",
      logger: "net.wifi",
      message: "signal is low",
      traceId: Buffer.alloc(16, 1),
      spanId: Buffer.alloc(8, 2),
      eventName: "wifi.low",
    } as const;
    const attributes: MessageInitShape<typeof AttributeSchema>[] = [
      { key: "rssi", value: { case: "intValue", value: -80n } },
      { key: "quality", value: { case: "doubleValue", value: 0.25 } },
      { key: "retries", value: { case: "boolValue", value: false } },
      { key: "ap", value: { case: "stringValue", value: "" } },
      { key: "none" },
    ];
    const record = create(LogRecordSchema, { ...values, attributes });
    device.send([toBinary(LogRecordSchema, record), encodeRecord({ message: "", attributes: { "": "x" } })]);
    await device.finish();
    const [acknowledged] = device.all("acknowledged");
    assert.deepEqual([acknowledged?.accepted, acknowledged?.rejections?.length], [1, 1]);
    await stored(["signal is low"]);
    const { rows } = await client.query(
      `select logs.*, uptime::text as uptime, info from logs join devices using (device_id) where device_id = $1`,
      [deviceId],
    );
    assert.deepEqual(
      { ...rows[0], time: rows[0].time.toISOString(), observed_time: rows[0].observed_time.toISOString() },
      {
        ...rows[0],
        time: "2023-11-14T22:13:20.123Z",
        uptime: "00:01:17",
        observed_time: "2023-11-14T22:13:21.000Z",
        severity: 13,
        severity_text: "notice",
        logger: "net.wifi",
        trace_id: Buffer.alloc(16, 1),
        span_id: Buffer.alloc(8, 2),
        event_name: "wifi.low",
        attributes: { rssi: -80, quality: 0.25, retries: false, ap: "", none: null },
        info: { firmware: "2.1.0" },
      },
    );
  });

  test("loses and repeats nothing while connections are cut, within requests and within responses", async () => {
    await using hop = await Hop.before(Number(new URL(system.httpUrl).port));
    await using device = await start({ http: `http://${hop.address}` });
    // Link after link passes a few bytes more, of the request or of the response.
    const left = new Map<number, number>();
    hop.tamper(async ({ link, direction, bytes, pass }) => {
      const isCut = link.number <= 120 && direction === (link.number % 2 === 0 ? "down" : "up");
      if (!isCut) return pass(bytes);
      const budget = left.get(link.number) ?? 3 * link.number;
      left.set(link.number, budget - bytes.byteLength);
      if (bytes.byteLength <= budget) return pass(bytes);
      await pass(bytes.subarray(0, budget));
      link.cut();
    });
    sendAll(device, 1, 100);
    await device.finish();
    assert.ok(hop.opened > 100, `${hop.opened} connections`);
    await stored(range(1, 100).flatMap(toMessages));
  });

  test("sends batch after batch on one connection", async () => {
    await using hop = await Hop.before(Number(new URL(system.httpUrl).port));
    await using device = await start({ http: `http://${hop.address}` });
    sendAll(device, 1, 50);
    await device.finish();
    assert.equal(hop.opened, 1);
    assert.deepEqual(device.all("reconnect"), []);
  });

  test("survives restarts of servers and a reload of Nginx", async () => {
    await using device = await start();
    sendAll(device, 1, 50);
    await device.waitFor("acknowledged", 20);
    for (const server of system.servers) {
      await server.kill();
      await server.start();
    }
    sendAll(device, 51, 100);
    await device.waitFor("acknowledged", 60);
    process.kill(system.nginx.pid, "SIGHUP");
    sendAll(device, 101, 150);
    await device.waitFor("acknowledged", 150);
    await Promise.all(system.servers.map((server) => server.stop()));
    sendAll(device, 151, 160);
    await device.waitFor("later", 1);
    await Promise.all(system.servers.map((server) => server.start()));
    await device.finish();
    await stored(range(1, 160).flatMap(toMessages));
  });

  test("killed at any moment, sends what its flash kept first, under the old session and numbers", async () => {
    const expected: string[] = [];
    for (const boot of range(1, 5)) {
      await using device = await start({ spool: folder, session: `boot-${boot}` });
      // More than it sends until it is killed.
      for (let turn = 1; turn <= 1_000; turn += 1) sendBatch(device, `${boot}-${turn}`);
      await waitFor("acknowledgements of this boot", () =>
        device.all("acknowledged").some(({ id }) => id === 3),
      );
      await device.kill();
      expected.push(
        ...device.all("acknowledged").flatMap(({ id }) => (id === undefined ? [] : [`${boot}-${id}`])),
      );
    }
    await using last = await start({ spool: folder, session: "boot-6" });
    sendBatch(last, "last");
    await last.finish();
    const acknowledged = last.all("acknowledged");
    assert.deepEqual([acknowledged[0]?.recovered, acknowledged.at(-1)?.id], [true, 1]);
    await waitFor("the last record", async () => (await messages()).includes("last"));
    const seen = await messages();
    assert.equal(new Set(seen).size, seen.length, "a record is stored twice");
    assert.deepEqual(
      expected.filter((message) => !seen.includes(message)),
      [],
    );
    assert.deepEqual(
      (await client.query("select kind, details from incidents where kind = 'sequence_reused'")).rows,
      [],
    );
  });

  test("waits as long as a server that is full asks, and then sends everything", async () => {
    await system.consumer.stop();
    await using device = await start();
    sendAll(device, 1, 2_000);
    const [later] = await device.waitFor("later", 2);
    assert.equal(later?.code, 8);
    assert.ok(later?.delayMs && later.delayMs >= 100, `${later?.delayMs} ms`);
    await system.consumer.start();
    await device.finish();
    await stored(range(1, 2_000).flatMap(toMessages));
  });

  test("says again what a refused batch said about the device", async () => {
    await using device = await start({ flags: ["--firmware", "2.1.0"] });
    sendBatch(device, { message: "x".repeat(65_536) }, ...Array.from({ length: 10_000 }, () => "too many"));
    await device.waitFor("refused", 1);
    sendBatch(device, "after");
    await device.finish();
    await stored(["after"]);
    const { rows } = await client.query("select info from devices where device_id = $1", [deviceId]);
    assert.deepEqual(rows, [{ info: { firmware: "2.1.0" } }]);
  });

  test("reports rejected records and refused batches, and declares the latter as dropped", async () => {
    await using device = await start();
    sendBatch(device, "good", { message: Buffer.from("a\0b") }, "also good");
    sendBatch(device, { message: "x".repeat(65_536) }, ...Array.from({ length: 10_000 }, () => "too many"));
    sendBatch(device, "after");
    await device.finish();
    const [first] = device.all("acknowledged");
    assert.deepEqual([first?.accepted, first?.rejections?.map(({ index }) => index)], [2, [1]]);
    assert.match(device.all("refused")[0]?.message ?? "", /10,?000/);
    await stored(["good", "also good", "after"]);
    assert.deepEqual(await ranges(system.httpUrl, deviceId), {
      committedRanges: [
        { first: "1", last: "1" },
        { first: "3", last: "3" },
      ],
      droppedRanges: [{ first: "2", last: "2" }],
      committedThrough: "3",
    });
  });

  test("declares what did not fit into a full storage, and only that", async () => {
    await using hop = await Hop.before(1);
    const flags = ["--sector-size", "2048", "--sectors", "4", "--waiting-max", "100"];
    await using device = await start({ http: `http://${hop.address}`, flags });
    for (const turn of range(1, 60)) sendBatch(device, `${turn} ${"x".repeat(300)}`);
    const dropped = await device.waitFor("dropped", 30);
    hop.retarget(Number(new URL(system.httpUrl).port));
    await device.finish();
    const numbers = new Set(device.all("dropped").map(({ first }) => Number(first)));
    assert.ok(dropped.length >= 30 && numbers.size < 60);
    await stored(
      range(1, 60)
        .filter((turn) => !numbers.has(turn))
        .map((turn) => `${turn} ${"x".repeat(300)}`),
    );
    const response = await waitFor("all of the session", async () => {
      const found = await ranges(system.httpUrl, deviceId);
      return found["committedThrough"] === "60" && found;
    });
    const declared = (response["droppedRanges"] as { first: string; last: string }[]).flatMap(
      ({ first, last }) => range(Number(first), Number(last)),
    );
    assert.deepEqual(
      declared,
      [...numbers].toSorted((one, other) => one - other),
    );
  });

  test("declares as one range what it gives up over several boots without a connection", async () => {
    await using hop = await Hop.before(1);
    const flags = ["--sector-size", "2048", "--sectors", "8", "--waiting-max", "100"];
    const options = { http: `http://${hop.address}`, spool: folder, flags };
    const dropped: string[] = [];
    for (const boot of range(1, 8)) {
      await using device = await start({ ...options, session: `boot-${boot}` });
      const turns = range(1, boot === 1 ? 14 : 2); // two fill a sector
      for (const turn of turns) sendBatch(device, `${boot}-${turn} ${"x".repeat(700)}`);
      await device.waitFor("kept", turns.length);
      await device.kill();
      dropped.push(...device.all("dropped").map(({ session, first }) => `${session} ${first}`));
    }
    hop.retarget(Number(new URL(system.httpUrl).port));
    await using last = await start({ ...options, session: "boot-9" });
    await last.finish();
    const { droppedRanges } = (await waitFor("all of the session", async () => {
      const found = await ranges(system.httpUrl, deviceId);
      return found["committedThrough"] === "14" && found;
    })) as { droppedRanges: { first: string; last: string }[] };
    assert.equal(droppedRanges.length, 1);
    const [{ first, last: end } = { first: "", last: "" }] = droppedRanges;
    assert.deepEqual(
      range(Number(first), Number(end)).map((number) => `boot-1 ${number}`),
      dropped,
    );
  });

  test("keeps batches until they are in PostgreSQL, across a reboot and the loss of Redis", async () => {
    const options = { keepUntil: "committed", spool: folder } as const;
    await system.consumer.stop();
    await using device = await start(options);
    sendAll(device, 1, 6);
    await device.waitFor("acknowledged", 6);
    assert.deepEqual(device.all("committed"), []);
    await device.kill();
    const redis = new Redis(system.redis.url);
    await redis.flushall();
    redis.disconnect();
    await system.consumer.start();
    await using again = await start({
      ...options,
      session: "boot-2",
      flags: ["--commit-timeout-ms", "1000"],
    });
    sendBatch(again, "new");
    await again.finish();
    assert.deepEqual(
      again.all("committed").map(({ through }) => through),
      [...range(1, 6), 1].map(String),
    );
    await stored([...range(1, 6).flatMap(toMessages), "new"]);
  });
});

function sendBatch(device: DeviceProgram, ...records: readonly (string | DeviceRecord)[]): void {
  device.send(
    records.map((record) => encodeRecord(typeof record === "string" ? { message: record } : record)),
  );
}

function sendAll(device: DeviceProgram, first: number, last: number): void {
  for (const turn of range(first, last)) sendBatch(device, ...toMessages(turn));
}

function toMessages(turn: number): readonly string[] {
  return [`${turn}-a`, `${turn}-b`];
}

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

async function ranges(baseUrl: string, deviceId: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${baseUrl}/fleetlog.v1.IngestService/GetSession`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ deviceId, sessionId: "boot-1" }),
  });
  return (await response.json()) as Record<string, unknown>;
}
