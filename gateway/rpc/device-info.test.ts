import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openPool } from "../testing/open-pool.ts";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts();
});
after(() => gateway[Symbol.asyncDispose]());

/** Notes what a batch said, as the consumer does. */
async function say(second: number, info: object): Promise<void> {
  const pool = openPool(gateway.databaseUrl);
  await pool.query(
    `select note_device_info(key, timestamptz '2026-01-02' + $1 * interval '1 second', $1::int8, $2)
     from devices where device_id = 'host-1'`,
    [second, JSON.stringify(info)],
  );
  await pool.end();
}

test("a device that says nothing about itself has no info", async () => {
  const { body } = await gateway.get("/v1/devices/host-2");
  const { device, infoHistory } = body as unknown as { device: { info?: object }; infoHistory: object[] };
  assert.deepEqual([device.info, infoHistory], [undefined, []]);
});

test("a device has what it last said about itself, and its changes, the latest first", async () => {
  await say(1, { firmware: "2.0.0", hardware: "rev B" });
  await say(2, { firmware: "2.0.0", hardware: "rev B" });
  await say(3, { firmware: "2.1.0", site: "plant 7", attributes: { rack: 3, "a\\": "b", ok: null } });
  const { body } = await gateway.get("/v1/devices/host-1");
  const { device, infoHistory } = body as unknown as { device: { info: object }; infoHistory: object[] };
  const now = {
    firmware: "2.1.0",
    hardware: "",
    site: "plant 7",
    attributes: [{ key: "a\\", stringValue: "b" }, { key: "ok" }, { key: "rack", intValue: "3" }],
  };
  assert.deepEqual(device.info, now);
  assert.deepEqual(infoHistory, [
    { receivedAt: "2026-01-02T00:00:03Z", info: now },
    {
      receivedAt: "2026-01-02T00:00:01Z",
      info: { firmware: "2.0.0", hardware: "rev B", site: "", attributes: [] },
    },
  ]);
  const listed = (await gateway.get("/v1/devices?search=host-1")).body.devices[0] as { info?: object };
  assert.deepEqual(listed.info, { ...now, attributes: [] });
});

test("changes of any size are returned up to 4 MiB", async () => {
  const attributes = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`n${n}`, "x".repeat(8000)]));
  for (let second = 10; second < 25; second += 1) await say(second, { firmware: `3.${second}`, attributes });
  const { body } = await gateway.get("/v1/devices/host-1");
  const { infoHistory } = body as unknown as { infoHistory: { info: { firmware: string } }[] };
  assert.deepEqual(
    infoHistory.map(({ info }) => info.firmware),
    ["3.24", "3.23", "3.22", "3.21", "3.20", "3.19", "3.18", "3.17"],
  );
});
