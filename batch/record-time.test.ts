import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { LogBatchSchema, type LogRecordSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { batchRecords } from "./batch-records.ts";
import { limits } from "./limits.ts";
import { isUndated, ownBootMicros, type Reception, RecordTimes, timeSources } from "./record-time.ts";
import { type ScannedBatch, scan } from "./scan.ts";
import { storedTimeRange } from "./stored-time-range.ts";
import { Timestamp } from "./timestamp.ts";

type Record = MessageInitShape<typeof LogRecordSchema>;

const second = 1_000_000;
const receivedAtMicros = Date.UTC(2026, 10, 28) * 1000;
const { device, bootTime, uptime, observed, received } = timeSources;

const nanos = (micros: number) => BigInt(micros) * 1000n;
const timed = (micros: number, uptimeMicros = 0): Record => ({
  timeUnixNano: nanos(micros),
  uptimeNano: nanos(uptimeMicros),
});
const up = (seconds: number): Record => ({ uptimeNano: nanos(seconds * second) });
const seen = (micros: number): Record => ({ observedTimeUnixNano: nanos(micros) });
const upAndSeen = (seconds: number, micros: number): Record => ({
  uptimeNano: nanos(seconds * second),
  observedTimeUnixNano: nanos(micros),
});

/** Seconds before the reception, with what the time comes from. */
type Dated = readonly [secondsBefore: number, source: number];

const cases: readonly [string, readonly Record[], number | undefined, readonly Dated[]][] = [
  [
    "a time is as the device has it, also one ahead",
    [timed(receivedAtMicros + 5 * second)],
    undefined,
    [[-5, device]],
  ],
  ["nothing is known: the time of reception", [{}], undefined, [[0, received]]],
  [
    "only uptimes: distances are kept, and the last one happened when the batch was received",
    [up(100), up(107), up(103)],
    undefined,
    [
      [7, uptime],
      [0, uptime],
      [4, uptime],
    ],
  ],
  [
    "the uptime of the request dates them",
    [up(100), up(107)],
    receivedAtMicros - 200 * second,
    [
      [100, uptime],
      [93, uptime],
    ],
  ],
  [
    "an uptime after that of the request is not in the future",
    [up(300)],
    receivedAtMicros - 200 * second,
    [[0, uptime]],
  ],
  [
    "a record with both counts more than the uptime of the request, also for records before it",
    [up(10), timed(receivedAtMicros - 50 * second, 60 * second), up(70)],
    receivedAtMicros - 200 * second,
    [
      [100, bootTime],
      [50, device],
      [40, bootTime],
    ],
  ],
  [
    "of several records with both the last one counts",
    [
      timed(receivedAtMicros - 90 * second, 10 * second),
      up(20),
      timed(receivedAtMicros - 30 * second, 30 * second),
    ],
    undefined,
    [
      [90, device],
      [40, bootTime],
      [30, device],
    ],
  ],
  [
    "a device whose clock is ahead dates its other records by the same clock",
    [timed(receivedAtMicros + 7 * second, 100 * second), up(99)],
    undefined,
    [
      [-7, device],
      [-6, bootTime],
    ],
  ],
  [
    "a boot after the reception is a wrong clock",
    [timed(receivedAtMicros + 500 * second, 100 * second), up(99)],
    undefined,
    [
      [-500, device],
      [1, uptime],
    ],
  ],
  [
    "a boot before 1970 is a wrong clock",
    [timed(5 * second, 100 * second), up(100)],
    undefined,
    [
      [NaN, device],
      [0, uptime],
    ],
  ],
  ["when a collector observed it", [seen(receivedAtMicros - 3 * second)], undefined, [[3, observed]]],
  ["a collector whose clock is ahead", [seen(receivedAtMicros + 3 * second)], undefined, [[0, observed]]],
  [
    "an uptime and an observation: the observation, unless the boot is known",
    [upAndSeen(10, receivedAtMicros - 3 * second), up(20)],
    undefined,
    [
      [3, observed],
      [0, uptime],
    ],
  ],
  [
    "an uptime and an observation, and the uptime of the request",
    [upAndSeen(10, receivedAtMicros - 3 * second)],
    receivedAtMicros - 20 * second,
    [[10, uptime]],
  ],
];

describe("a record's time:", () => {
  for (const [what, records, bootedAtMicros, expected] of cases) {
    test(what, () => {
      const batch = scanned(records);
      const dated = dateAll(batch, { receivedAtMicros, bootedAtMicros });
      for (const [index, [secondsBefore, source]] of expected.entries()) {
        assert.equal(dated[index]?.source, source);
        if (!Number.isNaN(secondsBefore)) {
          assert.equal((receivedAtMicros - (dated[index]?.micros ?? 0)) / second, secondsBefore);
        }
      }
    });

    test(`the range of its batch, ${what}`, () => {
      const batch = scanned(records);
      const reception = { receivedAtMicros, bootedAtMicros };
      const times = dateAll(batch, reception)
        .map(({ micros }) => BigInt(micros))
        .toSorted((a, b) => (a < b ? -1 : 1));
      const { firstMicros, lastMicros } = storedTimeRange(batch, reception);
      assert.deepEqual([firstMicros, lastMicros], [times[0], times.at(-1)]);
    });
  }

  test("no uptime leads beyond what can be stored", () => {
    const largest = limits.uptimeNanoMax;
    const records = [{ uptimeNano: largest }, up(1), { observedTimeUnixNano: largest }];
    const later = [...records, timed(receivedAtMicros - second, 10 * second)];
    for (const batch of [scanned(records), scanned(later)]) {
      for (const bootedAtMicros of [undefined, 0, receivedAtMicros]) {
        for (const { micros } of dateAll(batch, { receivedAtMicros, bootedAtMicros })) {
          assert(Number.isSafeInteger(micros) && micros >= 0, `${micros}`);
        }
      }
    }
  });
});

test("a batch is dated anew later when a record has an uptime, no time, and no other record says when the device booted", () => {
  const both = timed(receivedAtMicros - second, 10 * second);
  for (const [records, expected] of [
    [[up(1)], true],
    [[up(1), {}], true],
    [[up(1), both], false],
    [[{}], false],
    [[both], false],
    [[seen(5)], false],
  ] as const) {
    assert.equal(isUndated(scanned(records), { receivedAtMicros }), expected);
  }
});

test("when a device booted is known from a record with both, if it can be", () => {
  const boot = (record: Record) => ownBootMicros(scanned([record]), { receivedAtMicros });
  assert.equal(boot(timed(receivedAtMicros - second, 10 * second)), receivedAtMicros - 11 * second);
  assert.equal(boot(timed(receivedAtMicros + 20 * second, 10 * second)), undefined);
  assert.equal(boot(timed(5, 10 * second)), undefined);
  assert.equal(boot(up(1)), undefined);
});

function scanned(records: readonly Record[]): ScannedBatch {
  const batch = { deviceId: "device-1", sessionId: "boot-1", sequence: 1n, records: [...records] };
  return scan(toBinary(LogBatchSchema, create(LogBatchSchema, batch)));
}

function dateAll(batch: ScannedBatch, reception: Reception): { micros: number; source: number }[] {
  const times = new RecordTimes(batch, reception);
  const time = new Timestamp();
  return Array.from(batchRecords(batch), ({ fields }) => {
    const source = times.set(time, fields);
    return { micros: Number(time.micros), source };
  });
}
