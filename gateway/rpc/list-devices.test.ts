import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts();
});
after(() => gateway[Symbol.asyncDispose]());

test("devices are listed by name, in pages, with their counts", async () => {
  const first = await gateway.get("/v1/devices?page_size=1");
  assert.deepEqual(first.body.devices, [
    {
      deviceId: "host-1",
      firstSeen: "2026-01-01T00:00:05.000001Z",
      lastSeen: "2026-01-01T00:00:05.000001Z",
      batchCount: "1",
      recordCount: "3",
      errorCount: "1",
      deadLetterCount: "0",
      errorRatio: 1 / 3,
      dayRecordCount: "0",
      dayErrorCount: "0",
      recordsPerSecond: 0,
      bytesPerSecond: 0,
      dayRecordsPerSecond: 0,
      dayBytesPerSecond: 0,
      clockOffset: "-2.000001s",
      attributes: {},
    },
  ]);
  const second = await gateway.get(`/v1/devices?page_size=1&page_token=${first.body.nextPageToken}`);
  assert.equal(second.body.devices[0]?.deviceId, "host-2");
  assert.equal(second.body.nextPageToken, "");
});
