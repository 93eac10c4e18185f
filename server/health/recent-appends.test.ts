import assert from "node:assert/strict";
import { test } from "node:test";
import { RecentAppends } from "./recent-appends.ts";

const batch = (sequence: number) => ({ deviceId: "d", sessionId: "s", sequence: BigInt(sequence) });

function appended(count: number, max?: number): RecentAppends {
  const appends = new RecentAppends(max);
  for (let n = 1; n <= count; n++) appends.add(0, `${n}-0`, batch(n));
  return appends;
}

const sequences = (appends: RecentAppends) =>
  appends.report(0)?.batches.map(({ sequence }) => Number(sequence));

test("stored batches are forgotten, and the rest is reported in id order", () => {
  const appends = appended(9);
  assert.equal(appends.report(1), undefined);
  appends.forgetStored(0, "6-0");
  assert.deepEqual(sequences(appends), [6, 7, 8, 9]);
  appends.forgetStored(0, "10-0");
  assert.equal(appends.report(0), undefined);
  assert.equal(appends.lastId(0), "9-0", "and is still the newest that was given");
  assert.equal(appends.lastId(1), "0-0");
});

test("above its limit it keeps the newest batches, and counts the others until they are stored", () => {
  const appends = appended(25, 10);
  assert.deepEqual(sequences(appends), [16, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
  assert.equal(appends.report(0)?.forgottenCount, 15);
  appends.forgetStored(0, "18-0");
  assert.equal(appends.report(0)?.forgottenCount, 0);
  assert.deepEqual(sequences(appends), [18, 19, 20, 21, 22, 23, 24, 25]);
});
