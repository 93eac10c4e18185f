import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { digest } from "#batch/digest.ts";
import { scan } from "#batch/scan.ts";
import { seededRandom } from "#batch/testing/random.ts";
import { createAttributes } from "#proto/attributes.ts";
import { type DeviceInfoSchema, LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { ReceivedBatch } from "../received-batch.ts";
import {
  createFixture,
  createTransaction,
  type Fixture,
  openTestPool,
  receivedAtMicros,
} from "../testing/fixture.ts";

type Info = MessageInitShape<typeof DeviceInfoSchema>;

const second = 1_000_000;

/** Batch `sequence`, received as many seconds after the first, which says this of its device. */
function saying(sequence: number, device: Info | undefined, deviceId = "device-1"): ReceivedBatch {
  const named = { deviceId, sessionId: "boot-1", sequence: BigInt(sequence) };
  const records = [{ message: "hello" }];
  const message = create(LogBatchSchema, { ...named, records, ...(device && { device }) });
  const batch = Buffer.from(toBinary(LogBatchSchema, message));
  const scanned = scan(batch);
  const entry = {
    ...named,
    receivedAtMicros: receivedAtMicros + sequence * second,
    batch,
    digest: digest(scanned),
  };
  return { entryName: "test", entry, scanned };
}

/** A time column as seconds after the first batch. */
function seconds(column: string): string {
  return `(extract(epoch from ${column}) * 1e6 - ${receivedAtMicros})::bigint / ${second} as ${column}`;
}

function setUp(fixture: Fixture) {
  const pool = openTestPool(fixture);
  const writers = [createTransaction(pool), createTransaction(pool)] as const;
  return {
    writers,
    store: (...batches: ReceivedBatch[]) => writers[0].commit({ batches, deadLetters: [] }),
    device: async (deviceId = "device-1") =>
      (
        await fixture.rows(
          `select info, ${seconds("info_since")} from devices where device_id = '${deviceId}'`,
        )
      )[0],
    history: async () =>
      (
        await fixture.rows(
          `select info->>'firmware' as firmware, ${seconds("received_at")} from device_info_history
           order by device_key, received_at, sequence`,
        )
      ).map((row) => [row["firmware"], Number(row["received_at"])]),
  };
}

const version = (firmware: string): Info => ({ firmware });

test("what a device says about itself is kept as it said it, with types", async () => {
  await using fixture = await createFixture();
  const { store, device } = setUp(fixture);
  await store(saying(1, undefined));
  assert.deepEqual(await device(), { info: null, info_since: null });
  const attributes = createAttributes({ slots: 4, rack: "A\u0007", ratio: 0.5, on: true, none: null });
  await store(saying(2, { firmware: '2.1.0 "x"', site: "Plant 7", attributes }));
  assert.deepEqual(await device(), {
    info: {
      firmware: '2.1.0 "x"',
      site: "Plant 7",
      attributes: { slots: 4, rack: "A\u0007", ratio: 0.5, on: true, none: null },
    },
    info_since: "2",
  });
});

test("only changes are in the history, and a retry is none", async () => {
  await using fixture = await createFixture();
  const { store, device, history } = setUp(fixture);
  const first = saying(1, version("1"));
  await store(first, saying(2, version("1")), saying(3, undefined));
  await store(first);
  await store(saying(4, version("2")), saying(5, version("2")), saying(6, version("1")));
  assert.deepEqual(await history(), [
    ["1", 1],
    ["2", 4],
    ["1", 6],
  ]);
  assert.deepEqual(await device(), { info: { firmware: "1" }, info_since: "6" });
});

test("what is absent is unknown, not unchanged", async () => {
  await using fixture = await createFixture();
  const { store, device } = setUp(fixture);
  await store(saying(1, { firmware: "1", site: "here" }), saying(2, { firmware: "1" }));
  assert.deepEqual(await device(), { info: { firmware: "1" }, info_since: "2" });
});

test("late batches change the past and not the present", async () => {
  await using fixture = await createFixture();
  const { store, device, history } = setUp(fixture);
  await store(saying(10, version("a")), saying(20, version("a")), saying(30, version("b")));
  await store(saying(15, version("c")));
  assert.deepEqual(await history(), [
    ["a", 10],
    ["c", 15],
    ["a", 20],
    ["b", 30],
  ]);
  await store(saying(5, version("a")), saying(25, version("b")));
  assert.deepEqual(await history(), [
    ["a", 5],
    ["c", 15],
    ["a", 20],
    ["b", 25],
  ]);
  assert.deepEqual(await device(), { info: { firmware: "b" }, info_since: "25" });
});

test("the present is that of the last batch, in whatever order flushes of two consumers store them", async () => {
  await using fixture = await createFixture();
  const { writers, device, history } = setUp(fixture);
  const random = seededRandom(5);
  const versions = Array.from({ length: 40 }, () => String(Math.floor(random() * 3)));
  for (const deviceId of ["in-order", "shuffled"]) {
    const batches = versions.map((firmware, index) => saying(index + 1, version(firmware), deviceId));
    if (deviceId === "shuffled") batches.sort(() => random() - 0.5);
    const flushes = Array.from({ length: 8 }, (_, n) => batches.slice(5 * n, 5 * n + 5));
    for (let n = 0; n < flushes.length; n += 2) {
      const pair = [flushes[n]!, flushes[n + 1]!];
      if (deviceId === "in-order")
        for (const batches of pair) await writers[0].commit({ batches, deadLetters: [] });
      else await Promise.all(pair.map((batches, w) => writers[w]!.commit({ batches, deadLetters: [] })));
    }
    assert.deepEqual((await device(deviceId))?.["info"], { firmware: versions.at(-1) });
  }
  // Neighbours differ, whatever became of the times between.
  const rows = await history();
  for (const [index, [firmware]] of rows.entries()) {
    if (index > 0 && rows[index - 1]![1]! < rows[index]![1]!) assert.notEqual(firmware, rows[index - 1]![0]);
  }
});

test("the newest 100 changes of a device are kept", async () => {
  await using fixture = await createFixture();
  const { store, device, history } = setUp(fixture);
  await store(...Array.from({ length: 150 }, (_, index) => saying(index + 1, version(`v${index + 1}`))));
  const kept = await history();
  assert.equal(kept.length, 100);
  assert.deepEqual(
    [kept[0], kept.at(-1)],
    [
      ["v51", 51],
      ["v150", 150],
    ],
  );
  await store(saying(151, version("v150")), { ...saying(152, version("late")), entryName: "late" });
  assert.equal((await history()).length, 100);
  assert.deepEqual((await device())?.["info"], { firmware: "late" });
});

test("a batch that is refused as a whole by PostgreSQL says nothing", async () => {
  await using fixture = await createFixture();
  const { writers, device } = setUp(fixture);
  const batch = saying(1, version("1"));
  await writers[0].commit({
    batches: [],
    deadLetters: [
      {
        entryName: "x",
        entry: batch.entry,
        reason: "refused",
        raw: batch.scanned.bytes,
        settledBatch: batch,
      },
    ],
  });
  assert.deepEqual(await device(), { info: null, info_since: null });
});
