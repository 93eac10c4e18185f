import assert from "node:assert/strict";
import { test } from "node:test";
import { storedTimeRange } from "./stored-time-range.ts";

for (const { title, first, last, untimed, range } of [
  { title: "records with times have their range", first: 3n, last: 5n, untimed: 0, range: [3n, 5n] },
  { title: "an untimed record after the others ends it", first: 3n, last: 5n, untimed: 1, range: [3n, 9n] },
  {
    title: "an untimed record before the others begins it",
    first: 11n,
    last: 12n,
    untimed: 1,
    range: [9n, 12n],
  },
  { title: "an untimed record amid the others is in it", first: 3n, last: 12n, untimed: 1, range: [3n, 12n] },
  {
    title: "without times it is the reception",
    first: undefined,
    last: undefined,
    untimed: 2,
    range: [9n, 9n],
  },
  { title: "without records too", first: undefined, last: undefined, untimed: 0, range: [9n, 9n] },
]) {
  test(`the stored range of a batch received at 9: ${title}`, () => {
    const times = { firstTimeMicros: first, lastTimeMicros: last, untimedCount: untimed };
    const batch = { ...times, clock: undefined, bytes: Buffer.alloc(0), rejections: [], cutRecords: [] };
    const { firstMicros, lastMicros } = storedTimeRange(batch, { receivedAtMicros: 9 });
    assert.deepEqual([firstMicros, lastMicros], range);
  });
}
