import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "pg";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { encodeRecord } from "#client/stream/record.ts";
import { encodeRequest, makeBatch } from "#server/testing/batches.ts";
import { connectGrpc, pushGrpc } from "#server/testing/grpc-device.ts";
import { findDisagreements } from "./faults/agreement.ts";
import { startSystem, type TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

// What devices say beside their records: the uptime of one without a clock, and what the device is.

let system: TestSystem;
let postgres: Client;
before(async () => {
  system = await startSystem({ servers: 1 });
  postgres = new Client({ connectionString: system.databaseUrl });
  await postgres.connect();
});
after(async () => {
  await postgres?.end();
  await system?.[Symbol.asyncDispose]();
});

const second = 1_000_000_000n;
const hour = 3600n * second;

interface Entry {
  readonly message: string;
  readonly time: string;
  readonly uptime: string;
  readonly timeSource: string;
  readonly receivedAt: string;
}

/** The stored records of a device by their messages, once there are this many. */
async function entries(device: string, count: number): Promise<ReadonlyMap<string, Entry>> {
  const read = async (): Promise<readonly Entry[]> => {
    const response = await fetch(
      `${system.httpUrl}/v1/logs?device_id=${device}&end_time=2100-01-01T00:00:00Z`,
    );
    return ((await response.json()) as { logs: Entry[] }).logs;
  };
  const logs = await waitFor(`${count} records of ${device}`, async () => {
    const found = await read();
    return found.length === count && found;
  });
  return new Map(logs.map((log) => [log.message, log]));
}

const secondsOf = ({ time }: Entry) => Date.parse(time) / 1000;
const secondsBetween = (from: Entry | undefined, to: Entry | undefined) =>
  from && to && Math.round((secondsOf(to) - secondsOf(from)) * 1000) / 1000;

/** Sends batches of records over gRPC, each after `uptime` seconds. */
async function sendGrpc(deviceId: string, uptime: bigint, ...batches: readonly (readonly Uint8Array[])[]) {
  using stream = new DeviceStream({
    deviceId,
    sessionId: "boot",
    address: system.grpcAddress,
    uptime: () => uptime,
  });
  for (const records of batches) await stream.send(records, undefined);
  await stream.flush(30_000);
}

async function pushJson(request: object): Promise<void> {
  const response = await fetch(`${system.httpUrl}/fleetlog.v1.IngestService/PushLogs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  assert.equal(response.status, 200, await response.text());
}

const up = (uptimeNano: bigint, message: string) => encodeRecord({ uptimeNano, message });

test("records with uptimes keep their distances over gRPC, offline for an hour or not", async () => {
  const earlier = [up(10n * second, "boot"), up(12n * second, "wifi is down")];
  await sendGrpc("grpc-clockless", hour + 10n * second, earlier, [up(hour, "wifi is up")]);
  const found = await entries("grpc-clockless", 3);
  const [boot, down, upAgain] = ["boot", "wifi is down", "wifi is up"].map((message) => found.get(message));
  assert.equal(secondsBetween(boot, down), 2);
  assert.equal(boot?.timeSource, "TIME_SOURCE_UPTIME");
  assert.equal(boot.uptime, "10s");
  const beforeMs = Date.parse(boot.receivedAt) - Date.parse(boot.time);
  assert.equal(beforeMs, 3600_000, "the request says that the device booted an hour and ten seconds ago");
  assert.equal(secondsBetween(upAgain, { ...upAgain!, time: upAgain!.receivedAt }), 10);
});

test("records with uptimes keep their distances over JSON, with the uptime of the request or without", async () => {
  await pushJson({ batch: clocklessBatch("with"), uptimeNano: "30000000000" });
  await pushJson({ batch: clocklessBatch("without") });
  for (const [name, beforeReception] of [
    ["with", 4.5],
    ["without", 0],
  ] as const) {
    const found = await entries(`json-${name}`, 2);
    const [first, last] = [found.get("first"), found.get("second")];
    assert.equal(secondsBetween(first, last), 15.5);
    assert.equal(secondsBetween(last, { ...last!, time: last!.receivedAt }), beforeReception);
  }
});

test("a device that learns the time gets what it sent before dated, and the histogram and all counts agree", async () => {
  const bootedAt = BigInt(Date.now()) * 1_000_000n - 2n * hour;
  await sendGrpc("learner", 0n, [up(60n * second, "one"), up(61n * second, "two")]);
  assert.equal((await entries("learner", 2)).get("one")?.timeSource, "TIME_SOURCE_UPTIME");
  const uptimeNano = 2n * hour - second;
  const records = [{ timeUnixNano: bootedAt + uptimeNano, uptimeNano, message: "synchronised" }];
  const batch = makeBatch(2, { deviceId: "learner", sessionId: "boot", records });
  await pushGrpc(connectGrpc({ after }, system.grpcAddress), encodeRequest(batch));
  const dated = await waitFor("the first records to be dated anew", async () => {
    const found = await entries("learner", 3);
    return found.get("one")?.timeSource === "TIME_SOURCE_BOOT_TIME" && found;
  });
  assert.equal(secondsOf(dated.get("two")!).toFixed(3), toSeconds(bootedAt + 61n * second).toFixed(3));
  assert.equal(dated.get("two")?.uptime, "61s");
  assert.equal(dated.get("synchronised")?.timeSource, "TIME_SOURCE_UNSPECIFIED");

  const minute = new Date(Math.floor(toSeconds(bootedAt + 60n * second) / 60) * 60_000);
  const range = `start_time=${minute.toISOString()}&end_time=${new Date(minute.getTime() + 120_000).toISOString()}`;
  const response = await fetch(`${system.httpUrl}/v1/histogram?device_id=learner&${range}`);
  const { buckets } = (await response.json()) as { buckets: { counts: { recordCount: string }[] }[] };
  const total = buckets
    .flatMap(({ counts }) => counts)
    .reduce((sum, { recordCount }) => sum + Number(recordCount), 0);
  assert.equal(total, 2, JSON.stringify(buckets));
  assert.deepEqual(await findDisagreements(postgres, "%"), []);
});

test("what a device says about itself is in its answer, with the changes", async () => {
  await pushSaying(1, { firmware: "1.0", attributes: { slots: 4 } });
  await pushSaying(2, { firmware: "1.1", site: "Plant 7" });
  const { device, infoHistory } = await waitFor("both batches", async () => {
    const response = await fetch(`${system.httpUrl}/v1/devices/informer`);
    const answer = (await response.json()) as {
      device?: { info?: { firmware: string } };
      infoHistory: { info: object }[];
    };
    return answer.device?.info?.firmware === "1.1" && answer.infoHistory.length === 2 && answer;
  });
  const latest = { firmware: "1.1", hardware: "", site: "Plant 7", attributes: [] };
  assert.deepEqual(device?.info, latest);
  const slots = { key: "slots", intValue: "4" };
  assert.deepEqual(
    infoHistory.map(({ info }) => info),
    [latest, { firmware: "1.0", hardware: "", site: "", attributes: [slots] }],
  );
});

/** A batch in JSON whose two records have uptimes alone. */
function clocklessBatch(sessionId: string) {
  const records = [
    { uptimeNano: "10000000000", message: "first" },
    { uptime_nano: 25_500_000_000, message: "second" },
  ];
  return { deviceId: `json-${sessionId}`, sessionId, sequence: "1", records };
}

/** Batch `sequence` of a device that says this about itself. */
function pushSaying(sequence: number, device: object): Promise<void> {
  const batch = {
    deviceId: "informer",
    sessionId: "boot",
    sequence,
    device,
    records: [{ message: "hello" }],
  };
  return pushJson({ batch });
}

function toSeconds(nanos: bigint): number {
  return Number(nanos / 1000n) / 1e6;
}
