import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Pool } from "pg";
import { seedDrop } from "../testing/seed.ts";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

const range = "start_time=2026-01-01T00:00:00Z&end_time=2026-01-01T00:10:00Z";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
let pool: Pool;
before(async () => {
  gateway = await startWithTwoHosts();
  pool = new Pool({ connectionString: gateway.databaseUrl, max: 2 });
  pool.on("error", () => {}); // the database ends before the pool
});
after(async () => {
  await pool.end();
  await gateway[Symbol.asyncDispose]();
});

async function post(method: string, request: object) {
  return (await gateway.post(`/fleetlog.v1.QueryService/${method}`, request)).body;
}

test("the histogram has only buckets with records, and names its count method", async () => {
  const { body } = await gateway.get(`/v1/histogram?${range}&buckets_max=10`);
  assert.deepEqual(body, {
    buckets: [
      {
        startTime: "2026-01-01T00:00:00Z",
        counts: [
          { severity: "SEVERITY_UNSPECIFIED", recordCount: "1" },
          { severity: "SEVERITY_INFO", recordCount: "1" },
          { severity: "SEVERITY_ERROR", recordCount: "2" },
        ],
      },
    ],
    bucketSeconds: 60,
    startTime: "2026-01-01T00:00:00Z",
    endTime: "2026-01-01T00:10:00Z",
    method: "COUNT_METHOD_STATISTICS",
    sampleDivisor: 1,
    recordCount: "4",
    readRecordCount: "0",
  });
  const counted = (await gateway.get(`/v1/histogram?${range}&text=link&buckets_max=1000`)).body;
  assert.deepEqual(
    [counted.method, counted.recordCount, counted.bucketSeconds, counted.readRecordCount],
    ["COUNT_METHOD_COUNTED", "1", 1, "4"],
  );
  const same = await post("GetHistogram", {
    startTime: "2026-01-01T00:00:00Z",
    endTime: "2026-01-01T00:10:00Z",
    filter: { text: "link" },
    bucketsMax: 1000,
  });
  assert.deepEqual(same, counted);
  assert.equal((await gateway.get("/v1/histogram")).body.recordCount, "0");
});

test("the statistics list devices, loggers and errors with their numbers folded", async () => {
  await gateway.seed([
    {
      deviceId: "host-3",
      receivedMicros: 1_767_225_700_000_000n,
      records: [
        "disk 12 at 0xfe12 failed",
        "disk 7 at 0x01 failed",
        "user 2f1c1c9e-0d5b-4a57-8a70-6a3b7a2b9d11 gone, deadbeef42, at 10.0.0.1",
      ].map((message, index) => ({
        timeMicros: 1_767_225_700_000_000n + BigInt(index),
        severity: 18,
        logger: "disk",
        message,
      })),
    },
  ]);
  const { body } = await gateway.get(`/v1/statistics?${range}&top_max=2`);
  assert.equal(body.recordCount, "7");
  assert.ok(Math.abs((body.recordsPerSecond as number) - 7 / 600) < 1e-9);
  assert.deepEqual(body.topDevices, [
    { deviceId: "host-1", recordCount: "3", errorCount: "1" },
    { deviceId: "host-3", recordCount: "3", errorCount: "3" },
  ]);
  assert.deepEqual((body.topLoggers as object[])[0], { value: "disk", recordCount: "3" });
  assert.deepEqual((body.topErrorPatterns as object[])[0], { value: "disk # at # failed", recordCount: "2" });
  assert.deepEqual([body.sampledRecordCount, body.sampledErrorCount], ["7", "5"]);
  assert.deepEqual([body.deviceCount, body.activeDeviceCount], ["3", "3"]);
  const all = (await gateway.get(`/v1/statistics?${range}`)).body.topErrorPatterns as { value: string }[];
  assert.ok(
    all.some(({ value }) => value === "user # gone, #, at #"),
    JSON.stringify(all),
  );
});

async function values(query: string): Promise<string[] | undefined> {
  const { body } = await gateway.get(`/v1/field-values?${range}&${query}`);
  return (body.values as { value: string }[] | undefined)?.map(({ value }) => value);
}

test("field values are those of matching records, most frequent first", async () => {
  assert.deepEqual(await values("field=DEVICE_ID&search=HOST-2"), ["host-2"]);
  assert.deepEqual(await values("field=LOGGER&device_id=host-1"), ["net"]);
  assert.deepEqual(await values("field=ATTRIBUTE_NAME"), ["if"]);
  assert.deepEqual(await values("field=ATTRIBUTE&attribute=if&page_size=1"), ["eth0"]);
  assert.deepEqual(await values("field=ATTRIBUTE&attribute=none"), []);
  for (const [query, field] of [
    ["", "field"],
    ["field=9", "field"],
    ["field=ATTRIBUTE", "attribute"],
    ["field=LOGGER&attribute=x", "attribute"],
    ["field=LOGGER&search=%00", "search"],
  ]) {
    const { status, body } = await gateway.get(`/v1/field-values?${query}`);
    assert.equal(status, 400, query);
    assert.match(body.message, new RegExp(`^${field}: `));
  }
});

test("devices are searched, sorted and paged by their counts", async () => {
  const names = async (query: string) => {
    const found: string[] = [];
    for (let token = "", pages = 0; pages === 0 || (token !== "" && pages < 9); pages++) {
      const { body } = await gateway.get(`/v1/devices?${query}&page_size=1&page_token=${token}`);
      found.push(...(body.devices?.map(({ deviceId }) => deviceId) ?? [body.message]));
      token = body.nextPageToken ?? "";
    }
    return found;
  };
  const all = (await gateway.get("/v1/devices")).body.devices.map(({ deviceId }) => deviceId);
  assert.deepEqual(await names(""), all);
  assert.deepEqual(await names("descending=true"), all.toReversed());
  assert.deepEqual(await names("search=T-1"), ["host-1"]);
  for (const order of ["LAST_SEEN", "RECORD_COUNT", "ERROR_COUNT", "ERROR_RATIO"]) {
    const rising = await names(`order=${order}`);
    assert.deepEqual(rising.toSorted(), all, order);
    assert.deepEqual(await names(`order=${order}&descending=true`), rising.toReversed());
  }
  assert.equal((await names("order=ERROR_RATIO&descending=true")).at(-1), "host-1");
  assert.deepEqual(await names("silent_for=60s&search=host-1"), ["host-1"]);
  assert.deepEqual(await names("silent_for=3000000000s&search=host-1"), []);
  for (const [query, field] of [
    ["silent_for=-1s", "silent_for"],
    ["silent_for=long", "silent_for"],
    ["order=9", "order"],
    ["search=%00", "search"],
  ]) {
    const { status, body } = await gateway.get(`/v1/devices?${query}`);
    assert.deepEqual([status, body.message.split(":")[0]], [400, field], query);
  }
});

test("a device's rates are those of its last hours, or of its whole life when that is shorter", async () => {
  const rates = async (deviceId: string) => {
    const { body } = await gateway.get(`/v1/devices/${deviceId}`);
    const device = body["device"] as Record<string, number>;
    return (name: string) => device[name] as number;
  };
  const receivedMicros = BigInt(Date.now()) * 1000n;
  await gateway.seed(
    ["rated", "born"].map((deviceId) => ({
      deviceId,
      receivedMicros,
      records: [{ timeMicros: receivedMicros }],
    })),
  );
  await pool.query("update devices set first_seen = now() - interval '9 days' where device_id = 'rated'");
  await pool.query(
    `insert into device_statistics (hour, device_key, batch_count, record_count, error_count, dead_letter_count, bytes)
      select date_trunc('hour', now(), 'UTC') - hours * interval '1 hour', key, 1, count, 0, 0, 10 * count
      from devices, (values (5, 720000), (30, 90000000)) as of_hour (hours, count) where device_id = 'rated'`,
  );
  await pool.query(
    `update device_statistics set record_count = 7200, bytes = 72000
      where hour > now() - interval '2 hours' and device_key in (select key from devices where device_id in ('rated', 'born'))`,
  );
  const rated = await rates("rated");
  // 7,200 records in one to two hours.
  assert.ok(rated("recordsPerSecond") >= 1 && rated("recordsPerSecond") <= 2, `${rated("recordsPerSecond")}`);
  assert.ok(Math.abs(rated("bytesPerSecond") / rated("recordsPerSecond") - 10) < 0.01);
  // 727,200 records in 23 to 24 hours.
  const ofDay = rated("dayRecordsPerSecond");
  assert.ok(ofDay >= 727_200 / 86_400 && ofDay <= 727_200 / 82_800, `${ofDay}`);
  assert.ok(Math.abs(rated("dayBytesPerSecond") / ofDay - 10) < 0.01);
  // The divisor is at least a minute.
  const born = await rates("born");
  assert.ok(born("recordsPerSecond") > 2 && born("recordsPerSecond") <= 120, `${born("recordsPerSecond")}`);
  assert.ok(born("dayRecordsPerSecond") > 2);
});

const numbers = (first: number, last: number | string) => ({ first: String(first), last: String(last) });

test("a declared drop is returned with its reason, and is not missing", async () => {
  const receivedMicros = 1_767_225_900_000_000n;
  const session = { deviceId: "drops", sessionId: "boot" };
  await gateway.seed(
    [1, 2, 4, 12, 20].map((sequence) => ({
      ...session,
      sequence,
      receivedMicros,
      records: [{ timeMicros: receivedMicros, message: `${sequence}` }],
    })),
  );
  // The declaration of 12 overlaps the batch itself.
  for (const [first, last] of [
    [5, 9],
    [12, 13],
    [22, "9223372036854775807"],
  ] as const) {
    await seedDrop(pool, { deviceId: "drops", sessionId: "boot", first, last, reason: "memory was full" });
  }
  const { body } = await gateway.get("/v1/devices/drops");
  const [listed] = body.sessions as [Record<string, unknown>];
  const receivedAt = "2026-01-01T00:05:00Z";
  const declared = { reason: "memory was full", receivedAt };
  assert.deepEqual(listed["receivedRanges"], [
    numbers(1, 2),
    numbers(4, 4),
    numbers(12, 12),
    numbers(20, 20),
  ]);
  assert.deepEqual(listed["holes"], [numbers(3, 3), numbers(10, 11), numbers(14, 19), numbers(21, 21)]);
  assert.equal(listed["missingCount"], "10");
  assert.deepEqual(listed["drops"], [
    { ...numbers(5, 9), ...declared },
    { ...numbers(12, 13), ...declared },
    { ...numbers(22, "9223372036854775807"), ...declared },
  ]);
  assert.equal(listed["droppedCount"], String(5n + 1n + (2n ** 63n - 1n - 22n)));
});

test("a device returns its sessions and their missing sequences", async () => {
  const received = 1_767_225_900_000_000n;
  let copy = 0;
  const batch = (sessionId: string, sequence: number, at = 0) => ({
    deviceId: "holes",
    sessionId,
    sequence,
    receivedMicros: received + BigInt(at),
    records: [{ timeMicros: received, message: `${copy++}` }],
  });
  await gateway.seed([
    ...[2, 3, 7, 3, 9].map((sequence) => batch("old", sequence)),
    ...[1, 2, 3].map((sequence) => batch("new", sequence, 1000)),
    ...[5, 900].map((sequence) => batch("~0123abcd", sequence, 2000)),
  ]);
  await pool.query(
    `update devices set attributes = '{"firmware": {"version": 2}}' where device_id = 'holes'`,
  );
  const { body } = await gateway.get("/v1/devices/holes");
  assert.deepEqual((body.device as { attributes: object }).attributes, { firmware: { version: 2 } });
  assert.equal(body.sessionCount, "3");
  const sessions = body.sessions as {
    sessionId: string;
    receivedRanges: object;
    holes: object;
    missingCount: string;
  }[];
  assert.deepEqual(
    sessions.map(({ sessionId, receivedRanges, holes, missingCount }) => ({
      sessionId,
      receivedRanges,
      holes,
      missingCount,
    })),
    [
      { sessionId: "~0123abcd", receivedRanges: [], holes: [], missingCount: "0" },
      { sessionId: "new", receivedRanges: [{ first: "1", last: "3" }], holes: [], missingCount: "0" },
      {
        sessionId: "old",
        receivedRanges: [
          { first: "2", last: "3" },
          { first: "7", last: "7" },
          { first: "9", last: "9" },
        ],
        holes: [
          { first: "1", last: "1" },
          { first: "4", last: "6" },
          { first: "8", last: "8" },
        ],
        missingCount: "5",
      },
    ],
  );
  assert.deepEqual(await post("GetDevice", { deviceId: "holes" }), body);
  const paged: string[] = [];
  for (let token = "", pages = 0; pages === 0 || (token !== "" && pages < 9); pages += 1) {
    const page = (await gateway.get(`/v1/devices/holes?sessions_max=1&page_token=${token}`)).body;
    paged.push(...(page.sessions as typeof sessions).map(({ sessionId }) => sessionId));
    token = page.nextPageToken ?? "";
  }
  assert.deepEqual(paged, ["~0123abcd", "new", "old"]);
  assert.deepEqual((await gateway.get("/v1/devices/unknown")).body.code, "not_found");
  for (const path of [
    "no%20device",
    "%ff",
    "holes?device_id=other",
    "holes?sessions_max=-1",
    "x".repeat(129),
  ]) {
    assert.equal((await gateway.get(`/v1/devices/${path}`)).status, 400, path);
  }
});

test("dead letters and incidents are listed newest first, in pages, by device and time", async () => {
  await pool.query(`
    insert into dead_letters (at, device_id, session_id, sequence, idx, reason, raw, raw_bytes)
    select timestamptz '2026-01-01' + n * interval '1 minute', 'host-' || n % 2, 's', n, n, 'reason ' || n,
      convert_to(repeat('x', 2000), 'UTF8'), 2000 from generate_series(0, 4) n`);
  await pool.query(`insert into dead_letters (reason, raw, raw_bytes) values ('no entry', '', 0)`);
  await pool.query(`
    insert into incidents (at, kind, device_key, details)
    select timestamptz '2026-01-01' + n * interval '1 minute', 'sequence_reused', n % 2 + 1, jsonb_build_object('n', n)
    from generate_series(0, 4) n`);
  await pool.query(
    `update dead_letters set replayed_at = '2026-01-02', replayed_batch = 77 where reason = 'reason 4'`,
  );
  const first = (await gateway.get("/v1/dead-letters?page_size=2")).body;
  const letters = first.deadLetters as {
    reason: string;
    raw: string;
    rawSize: string;
    index?: number;
    replayedAt?: string;
    replayedBatchId: string;
  }[];
  assert.deepEqual(
    letters.map(({ replayedAt, replayedBatchId }) => [replayedAt, replayedBatchId]),
    [
      [undefined, "0"],
      ["2026-01-02T00:00:00Z", "77"],
    ],
  );
  assert.deepEqual(
    letters.map(({ reason, raw, rawSize, index }) => [reason, raw.length, rawSize, index]),
    [
      ["no entry", 0, "0", undefined],
      ["reason 4", 1368, "2000", 4],
    ],
  );
  const second = (await gateway.get(`/v1/dead-letters?page_size=2&page_token=${first.nextPageToken}`)).body;
  assert.equal((second.deadLetters as typeof letters)[0]?.reason, "reason 3");
  const odd = await post("ListDeadLetters", { deviceId: "host-1", endTime: "2026-01-01T00:03:00Z" });
  assert.deepEqual(
    (odd.deadLetters as typeof letters).map(({ reason }) => reason),
    ["reason 1"],
  );

  const incidents = (await gateway.get("/v1/incidents?device_id=host-1&page_size=2&kind=sequence_reused"))
    .body;
  assert.deepEqual(
    (incidents.incidents as { details: object }[]).map(({ details }) => details),
    [{ n: 4 }, { n: 2 }],
  );
  assert.notEqual(incidents.nextPageToken, "");
  assert.deepEqual((await gateway.get("/v1/incidents?kind=other")).body.incidents, []);
  const { dead_letters: count } = {
    dead_letters: (await gateway.get(`/v1/statistics?${range}`)).body.deadLetterCount,
  };
  assert.equal(count, "5");
  for (const path of ["/v1/dead-letters", "/v1/incidents"]) {
    for (const query of [
      "device_id=%20",
      "page_size=-1",
      "page_token=x",
      "start_time=now",
      "start_time=2026-01-02T00:00:00Z&end_time=2026-01-01T00:00:00Z",
    ]) {
      assert.equal((await gateway.get(`${path}?${query}`)).status, 400, `${path}?${query}`);
    }
  }
});
