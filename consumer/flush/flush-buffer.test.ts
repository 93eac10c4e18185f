import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeDelivery } from "../received-batch.ts";
import { makeEntry, records } from "../testing/fixture.ts";
import { FlushBuffer, type FlushLimits, type PendingFlush } from "./flush-buffer.ts";

function collectFlushes(
  limits: Partial<FlushLimits>,
  recordCounts: readonly number[],
): readonly PendingFlush[] {
  const flushes: PendingFlush[] = [];
  const buffer = new FlushBuffer({ recordsMax: 1e9, bytesMax: 1e9, intervalMs: 60_000, ...limits }, (flush) =>
    flushes.push(flush),
  );
  for (const [index, count] of recordCounts.entries()) {
    const place = { shard: 0, id: `${index}-0` };
    buffer.add(place, decodeDelivery({ ...place, entry: makeEntry(index + 1, records(count)) }));
  }
  buffer.flush();
  return flushes;
}

test("submits a flush before it would exceed its limit of records", () => {
  const flushes = collectFlushes({ recordsMax: 10 }, [4, 6, 1, 20, 3]);
  assert.deepEqual(
    flushes.map(({ records }) => records),
    [10, 1, 20, 3],
  );
});

test("submits a flush before it would exceed its limit of bytes", () => {
  const bytes = makeEntry(1, records(5)).batch.length;
  const flushes = collectFlushes({ bytesMax: bytes * 2 }, [5, 5, 5, 50, 5]);
  assert.deepEqual(
    flushes.map(({ batches }) => batches.length),
    [2, 1, 1, 1],
  );
  assert.deepEqual(
    flushes.flatMap(({ positions }) => positions.map(({ id }) => id)),
    ["0-0", "1-0", "2-0", "3-0", "4-0"],
  );
});

test("submits a flush that does not fill one interval after its own first entry", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const flushes: PendingFlush[] = [];
  const limits = { recordsMax: 10, bytesMax: 1e9, intervalMs: 100 };
  const buffer = new FlushBuffer(limits, (flush) => flushes.push(flush));
  const add = (sequence: number, count: number) => {
    const position = { shard: 0, id: `${sequence}-0` };
    buffer.add(position, decodeDelivery({ ...position, entry: makeEntry(sequence, records(count)) }));
  };
  add(1, 8);
  t.mock.timers.tick(60);
  add(2, 8);
  assert.equal(flushes.length, 1);
  t.mock.timers.tick(99);
  assert.equal(flushes.length, 1);
  t.mock.timers.tick(1);
  assert.equal(flushes.length, 2);
});
