import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestRedis } from "./testing/redis-clients.ts";
import { countParts, pushReport, readParts, toReports, type UnconfirmedReport } from "./unconfirmed.ts";

function makeReport(name: string, batches: number): UnconfirmedReport {
  const batch = { deviceId: "device-1", sessionId: "boot-1" };
  return {
    name,
    forgottenCount: 9,
    batches: Array.from({ length: batches }, (_, n) => ({ ...batch, id: `${n}-0`, sequence: BigInt(n) })),
  };
}

const neverUnreadable = (text: string) => assert.fail(text);

test("a report in several parts is read as one, with its forgotten batches counted once", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  const reports = [makeReport("long", 1_201), makeReport("empty", 0)];
  for (const report of reports) await pushReport(redis, 0, report);
  assert.equal(await countParts(redis, 0), 4);
  assert.deepEqual(toReports(await readParts(redis, 0, 4), neverUnreadable), reports);
});

test("a shard's list keeps only the newest parts", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  for (let n = 1; n <= 403; n++) await pushReport(redis, 0, makeReport(`report ${n}`, 1));
  const names = toReports(await readParts(redis, 0, 1_000), neverUnreadable).map(({ name }) => name);
  assert.deepEqual([names.length, names[0], names.at(-1)], [400, "report 4", "report 403"]);
});
