import assert from "node:assert/strict";
import { test } from "node:test";
import { scan } from "#batch/scan.ts";
import type { ReceivedBatch } from "../received-batch.ts";
import {
  createFixture,
  createTransaction,
  type Fixture,
  makeEntry,
  openTestPool,
  receivedAtMicros,
} from "../testing/fixture.ts";

const minuteMicros = 60_000_000;
const ahead = "select device_key, details from incidents where kind = 'clock_ahead' order by device_key";
const offsets = "select clock_offset_micros as micros from devices order by device_id";

interface Sent {
  readonly deviceId?: string;
  readonly receivedAtMicros?: number;
}

/** A batch of one record, dated this many µs after its reception; undefined: without a time. */
function batch(sequence: number, offsetMicros: number | bigint | undefined, sent: Sent = {}): ReceivedBatch {
  const received = sent.receivedAtMicros ?? receivedAtMicros;
  const time = offsetMicros === undefined ? 0n : (BigInt(received) + BigInt(offsetMicros)) * 1000n;
  const entry = makeEntry(sequence, [{ timeUnixNano: time, message: "hello" }], sent);
  return { entryName: "test", entry, scanned: scan(entry.batch) };
}

const writers = (fixture: Fixture, count: number) =>
  Array.from({ length: count }, () => createTransaction(openTestPool(fixture)));

test("a device whose records are dated more than ten minutes ahead is reported once a day", async () => {
  await using fixture = await createFixture();
  const [writer] = writers(fixture, 1);
  const write = async (...batches: ReceivedBatch[]) =>
    (await writer!.commit({ batches, deadLetters: [] })).incidents.clock_ahead;
  assert.equal(await write(batch(1, 10 * minuteMicros), batch(2, undefined), batch(3, -minuteMicros)), 0);
  assert.equal(
    await write(
      batch(4, 11 * minuteMicros),
      batch(5, 3 * 86_400_000_000),
      batch(8, 12 * minuteMicros, { receivedAtMicros: receivedAtMicros + 1 }),
    ),
    1,
    "the farthest",
  );
  assert.equal(await write(batch(4, 11 * minuteMicros), batch(6, 12 * minuteMicros)), 0, "the same day");
  const [incident] = await fixture.rows(ahead);
  assert.deepEqual(
    { ...(incident!["details"] as object), batch_id: undefined },
    { session_id: "boot-1", sequence: "5", ahead_seconds: 3 * 86_400, batch_id: undefined },
  );
  await fixture.rows("update incidents set at = at - interval '1 day'");
  assert.equal(await write(batch(7, 12 * minuteMicros)), 1, "the next day");
});

test("the highest possible time of a record is reported like any other", async () => {
  await using fixture = await createFixture();
  const [writer] = writers(fixture, 1);
  const entry = makeEntry(1, [{ timeUnixNano: 2n ** 64n - 1n, message: "far" }]);
  const far = { entryName: "test", entry, scanned: scan(entry.batch) };
  assert.equal((await writer!.commit({ batches: [far], deadLetters: [] })).incidents.clock_ahead, 1);
  const seconds = Math.floor((Number((2n ** 64n - 1n) / 1000n) - receivedAtMicros) / 1e6);
  const [incident] = await fixture.rows(ahead);
  assert.equal((incident!["details"] as { ahead_seconds: number }).ahead_seconds, seconds);
});

test("when two consumers see it at once, one reports it, and they do not deadlock", async () => {
  await using fixture = await createFixture();
  const reported = await Promise.all(
    writers(fixture, 12).map(async (writer, index) => {
      const devices = ["a", "b", "c"];
      if (index % 2 === 0) devices.reverse();
      const batches = devices.map((deviceId) => batch(1 + index, 20 * minuteMicros, { deviceId }));
      return (await writer.commit({ batches, deadLetters: [] })).incidents.clock_ahead;
    }),
  );
  assert.equal(
    reported.reduce((sum, count) => sum + count, 0),
    3,
  );
  assert.equal((await fixture.rows(ahead)).length, 3);
});

test("a device's clock offset is that of the batch received last, also when its clock is behind", async () => {
  await using fixture = await createFixture();
  const [writer] = writers(fixture, 1);
  const later = { receivedAtMicros: receivedAtMicros + minuteMicros };
  const write = async (...batches: ReceivedBatch[]) => {
    await writer!.commit({ batches, deadLetters: [] });
    return (await fixture.rows(offsets)).map(({ micros }) => Number(micros));
  };
  assert.deepEqual(await write(batch(1, 7), batch(2, 9, later)), [9]);
  assert.deepEqual(await write(batch(3, 5), batch(2, 9, later)), [9], "late and sent again");
  const in1970 = -(receivedAtMicros + 2 * minuteMicros) + 1;
  assert.deepEqual(await write(batch(4, in1970, { receivedAtMicros: receivedAtMicros + 2 * minuteMicros })), [
    in1970,
  ]);
  assert.deepEqual(
    await write(batch(5, undefined, { receivedAtMicros: receivedAtMicros + 3 * minuteMicros })),
    [0],
  );
});
