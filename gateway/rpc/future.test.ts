import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

/** A clock error that a query allows for, and one that it does not. */
const minute = 60_000_000n;
const year = 365n * 1440n * minute;
/** The highest time that a record can have: 2^64 - 1 nanoseconds. */
const highest = (2n ** 64n - 1n) / 1000n;
const now = BigInt(Date.now()) * 1000n;
const farEnd = "9999-01-01T00:00:00Z";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts();
  const times = { past: now - 5n * minute, soon: now + 5n * minute, "next year": now + year, highest };
  await gateway.seed([
    ...Object.entries(times).map(([name, timeMicros], index) => ({
      deviceId: name.replace(" ", "-"),
      receivedMicros: now,
      records: [{ timeMicros, severity: 17, logger: name, message: `${name} ${index}` }],
    })),
    // A batch across the end.
    {
      deviceId: "both",
      receivedMicros: now,
      records: [
        { timeMicros: now - minute, severity: 17, logger: "near", message: "near 8" },
        { timeMicros: now + year, severity: 17, logger: "far", message: "far 9" },
      ],
    },
    { deviceId: "1970", receivedMicros: now, records: [{ timeMicros: 1n, logger: "behind" }] },
  ]);
});
after(() => gateway[Symbol.asyncDispose]());

const severe = "min_severity=ERROR&start_time=2026-02-01T00:00:00Z";
const ofThis = ["soon 1", "near 8", "past 0"];
const ofTheFuture = ["highest 3", "far 9", "next year 2"];

async function messages(query: string): Promise<string[]> {
  const { body } = await gateway.get(`/v1/logs?${query}`);
  return body.logs.map(({ message }) => message);
}

test("records of the future are in no list, count, sample or export without an end time", async () => {
  assert.deepEqual(await messages(severe), ofThis);
  assert.deepEqual(await messages(`${severe}&oldest_first=true`), ofThis.toReversed());
  assert.deepEqual(await messages(`${severe}&text=e`), ["near 8"]);
  for (const device of ["device_id=next-year", "device_id=highest"])
    assert.deepEqual(await messages(device), []);
  const histogram = await gateway.get("/v1/histogram?min_severity=ERROR");
  assert.equal(histogram.body.recordCount, "3");
  assert.equal((await gateway.get("/v1/histogram?text=e&min_severity=ERROR")).body.recordCount, "1");
  const statistics = (await gateway.get("/v1/statistics")).body;
  assert.equal(statistics.recordCount, "3");
  assert.deepEqual(statistics["topErrorPatterns"], ["near #", "past #", "soon #"].map(once));
  // Records of the future do not dilute the rate: three in an hour that ends with this minute.
  assert.equal(statistics["recordsPerSecond"], 3 / 3600);
  const values = (await gateway.get("/v1/field-values?field=LOGGER")).body["values"];
  assert.deepEqual(values, ["near", "past", "soon"].map(once));
  const exported = await (await fetch(`${gateway.url}/v1/export?format=csv&${severe}`)).text();
  assert.equal(exported.trim().split("\r\n").length, 1 + 3);
});

test("a requested end time is kept, however late", async () => {
  const end = `end_time=${farEnd}`;
  assert.deepEqual((await messages(`${severe}&${end}`)).toSorted(), [...ofTheFuture, ...ofThis].toSorted());
  assert.equal((await messages(`${severe}&${end}`))[0], "highest 3");
  const start = new Date(Number((now + 10n * minute) / 1000n)).toISOString();
  const histogram = `start_time=${start}&end_time=${new Date(Number((now + 2n * year) / 1000n)).toISOString()}`;
  assert.equal((await gateway.get(`/v1/histogram?${histogram}`)).body.recordCount, "2");
  const exported = await (await fetch(`${gateway.url}/v1/export?${severe}&${end}`)).text();
  assert.equal(exported.trim().split("\n").length, 6);
});

test("all pages of a list end where the first one did, whatever arrives", async () => {
  const first = (await gateway.get(`/v1/logs?${severe}&page_size=1`)).body;
  assert.equal(first.logs[0]?.message, "soon 1");
  const next = (await gateway.get(`/v1/logs?${severe}&page_size=9&page_token=${first.nextPageToken}`)).body;
  assert.deepEqual(
    next.logs.map(({ message }) => message),
    ofThis.slice(1),
  );
  const rising = (await gateway.get(`/v1/logs?${severe}&page_size=1&oldest_first=true`)).body;
  const query = `${severe}&page_size=9&oldest_first=true&page_token=${rising.nextPageToken}`;
  assert.deepEqual(
    (await gateway.get(`/v1/logs?${query}`)).body.logs.map(({ message }) => message),
    ofThis.toReversed().slice(1),
  );
  const foreign = `${severe}&end_time=${farEnd}&page_token=${first.nextPageToken}`;
  assert.equal((await gateway.get(`/v1/logs?${foreign}`)).status, 400);
});

test("the highest time is written alike in every format", async () => {
  const time = "2554-07-21T23:34:33.709551Z";
  const query = `device_id=highest&end_time=${farEnd}`;
  assert.equal((await gateway.get(`/v1/logs?${query}`)).body.logs[0]?.time, time);
  for (const format of ["csv", "ndjson"]) {
    const text = await (await fetch(`${gateway.url}/v1/export?format=${format}&${query}`)).text();
    assert.ok(text.includes(time), text);
  }
});

test("a device returns the offset of its clock, ahead or behind", async () => {
  assert.deepEqual((await clock("past"))[0], "-300s");
  assert.deepEqual((await clock("soon"))[0], "300s");
  assert.deepEqual((await clock("next-year"))[0], `${365 * 86_400}s`);
  assert.deepEqual((await clock("both"))[0], `${365 * 86_400}s`);
  const [offset, latest] = await clock("highest");
  const digits = String(highest - now);
  assert.equal(offset, `${digits.slice(0, -6)}.${digits.slice(-6)}s`);
  assert.equal(latest, "2554-07-21T23:34:33.709551Z");
  assert.equal(Number.parseFloat((await clock("1970"))[0] as string), -Number(now - 1n) / 1e6);
});

function once(value: string) {
  return { value, recordCount: "1" };
}

/** Clock offset and latest time. */
async function clock(deviceId: string) {
  const { body } = await gateway.get(`/v1/devices/${deviceId}`);
  return [(body.device as { clockOffset: string }).clockOffset, body["latestTime"]];
}
