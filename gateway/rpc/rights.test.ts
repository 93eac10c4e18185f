import assert from "node:assert/strict";
import { test } from "node:test";
import { sql } from "kysely";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { startRedis } from "#test/support/redis.ts";
import { follow } from "../tail/testing/follow.ts";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

const range = { startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-01T00:10:00Z" };

/**
 * Requests for each unary RPC that together read everything it can; a new RPC does not compile until it is
 * added here.
 */
const requests: Readonly<Record<Exclude<keyof typeof QueryService.method, "tailLogs">, readonly object[]>> = {
  listLogs: [
    { filter: { deviceIds: ["host-1"] }, explain: true },
    { ...range, filter: { text: "link", attributes: [{ name: "if", value: "eth0" }] }, explain: true },
  ],
  getHistogram: [range, { ...range, filter: { text: "link" } }],
  getStatistics: [range],
  listFieldValues: ["DEVICE_ID", "LOGGER", "ATTRIBUTE_NAME"].map((field) => ({
    ...range,
    field: `FIELD_${field}`,
  })),
  listDevices: [{}],
  getDevice: [{ deviceId: "host-1" }],
  listDeadLetters: [{}],
  listIncidents: [{}],
};

// Every gateway under test reads as this role; this test names a call that needs more.
test("every RPC and the export read as the gateway's role, which may not write", async (t) => {
  await using redis = await startRedis();
  await using gateway = await startWithTwoHosts({ redisUrl: redis.url });
  for (const [name, all] of Object.entries(requests)) {
    const method = QueryService.method[name as keyof typeof requests];
    for (const request of all) {
      const { status, body } = await gateway.post(`/${QueryService.typeName}/${method.name}`, request);
      assert.equal(status, 200, `${name}: ${body.message}`);
    }
  }
  const tail = follow(t, gateway.url, { last: 3 });
  await tail.untilCount(3);
  const records = await (await fetch(`${gateway.url}/v1/export?device_id=host-1`)).text();
  assert.equal(records.trim().split("\n").length, 3);

  await gateway.readPool.read("rights", { client: "test", signal: t.signal }, async (db) => {
    const { rows } = await sql`select current_user::text as name`.execute(db);
    assert.deepEqual(rows, [{ name: "fleetlog_gateway" }]);
    await sql`set default_transaction_read_only = off`.execute(db);
    await assert.rejects(sql`delete from record_batches`.execute(db), { code: "42501" });
  });
});
