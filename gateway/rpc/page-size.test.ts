import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts();
  const records = Array.from({ length: 1001 }, (_, index) => ({
    timeMicros: 1_767_300_000_000_000n + BigInt(index),
    logger: `of ${index}`,
  }));
  await gateway.seed([{ deviceId: "many", receivedMicros: 1_767_300_000_000_000n, records }]);
});
after(() => gateway[Symbol.asyncDispose]());

test("more than the maximum counts as the maximum, and the rest is on the next page", async () => {
  const path = "/v1/logs?device_id=many&page_size=2147483647";
  const first = await gateway.get(path);
  assert.deepEqual([first.status, first.body.logs.length], [200, 1000]);
  const second = await gateway.get(`${path}&page_token=${first.body.nextPageToken}`);
  assert.deepEqual([second.body.logs.length, second.body.nextPageToken], [1, ""]);
  const range = "start_time=2026-01-01T00:00:00Z&end_time=2026-01-03T00:00:00Z";
  const { body } = await gateway.get(`/v1/field-values?field=LOGGER&page_size=1001&${range}`);
  assert.equal((body["values"] as unknown[]).length, 1000);
});

test("of every count, and a negative one is INVALID_ARGUMENT", async () => {
  for (const path of [
    "/v1/devices?page_size=",
    "/v1/dead-letters?page_size=",
    "/v1/incidents?page_size=",
    "/v1/devices/many?sessions_max=",
    "/v1/histogram?buckets_max=",
    "/v1/statistics?top_max=",
  ]) {
    assert.equal((await gateway.get(`${path}1000000`)).status, 200, path);
    const negative = await gateway.get(`${path}-1`);
    assert.deepEqual([negative.status, negative.body.code], [400, "invalid_argument"], path);
    assert.match(negative.body.message, /^\w+: -1, expected 0 to 10+$/);
  }
});
