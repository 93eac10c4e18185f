import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "pg";
import { type RunningProgram, startProgram } from "#dev/programs.ts";
import { type PostgresPair, startPostgresPair } from "./support/postgres-replica.ts";
import { waitFor } from "./support/wait-for.ts";

const stack = new AsyncDisposableStack();
let pair: PostgresPair;
let gateway: RunningProgram;
before(async () => {
  pair = stack.use(await startPostgresPair());
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-gateway-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  gateway = await startProgram({
    program: "gateway",
    name: "gateway",
    env: {
      HTTP_LISTEN: "127.0.0.1:0",
      DATABASE_URL: pair.primary.url,
      DATABASE_READ_URL: pair.replica.url,
      REPLICA_LAG_MS_MAX: "1000",
    },
    folder,
  });
  stack.defer(() => gateway.stop());
  await waitFor("the replica to be read", () => isReplicaRead());
});
after(() => stack.disposeAsync());

test("queries read from the replica while it keeps up", async () => {
  await addDevice("kept-up");
  await waitFor("the device to be listed", async () => (await devices()).includes("kept-up"));
  await onReplica(async (client) => {
    const { rows } = await client.query(
      "select from pg_stat_activity where application_name = 'fleetlog-gateway' and query not like '%lsn%'",
    );
    assert.notEqual(rows.length, 0, "no query of the gateway's on the replica");
  });
  assert.equal(await isReplicaRead(), true);
});

test("a replica that falls behind is not used until it has caught up", async () => {
  await onReplica((client) => client.query("select pg_wal_replay_pause()"));
  await addDevice("while-it-lagged");
  await waitFor("queries to go to the primary", async () => !(await isReplicaRead()));
  assert.ok((await devices()).includes("while-it-lagged"));
  assert.ok((await metric("fleetlog_replica_lag_seconds")) > 1);

  await onReplica((client) => client.query("select pg_wal_replay_resume()"));
  await waitFor("queries to go to the replica again", () => isReplicaRead());
  assert.ok((await devices()).includes("while-it-lagged"));
});

test("an unreachable replica is detected, and queries read from the primary", async () => {
  await pair.replica.stop();
  await waitFor("queries to go to the primary", async () => !(await isReplicaRead()));
  assert.ok((await devices()).includes("kept-up"));
});

async function devices(): Promise<readonly string[]> {
  const response = await fetch(`http://${gateway.addresses.http}/v1/devices`);
  assert.equal(response.status, 200);
  const { devices } = (await response.json()) as { devices: { deviceId: string }[] };
  return devices.map(({ deviceId }) => deviceId);
}

async function isReplicaRead(): Promise<boolean> {
  return (await metric("fleetlog_replica_in_use")) === 1;
}

async function metric(name: string): Promise<number> {
  const response = await fetch(`http://${gateway.addresses.http}/metrics`);
  const line = (await response.text()).split("\n").find((text) => text.startsWith(`${name}{`));
  return Number(line?.split(" ").at(-1));
}

async function addDevice(deviceId: string): Promise<void> {
  await on(pair.primary.url, (client) =>
    client.query("insert into devices (device_id, first_seen, last_seen) values ($1, now(), now())", [
      deviceId,
    ]),
  );
}

const onReplica = (work: (client: Client) => Promise<unknown>) => on(pair.replica.url, work);

async function on(url: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
