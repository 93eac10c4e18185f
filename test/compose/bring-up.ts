import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { tryMonitoring } from "./monitoring-trial.ts";
import { pushOne } from "./push-one.ts";
import { tryTls } from "./tls-trial.ts";
import { Trial } from "./trial.ts";
import { startTrialDevice, type TrialDevice } from "./trial-device.ts";

// `npm run test:compose`: the whole of docker-compose.yml, by ./manage.sh, as a project of its own beside any other.
// Needs Docker with its command compose, curl, and the base images or test/compose/stand-ins.sh; takes about five
// minutes. One device streams through the published port all the time, and in the end everything acknowledged is stored,
// once. Grafana alone is not started: its image has no stand-in.

const trial = await Trial.create();
const deviceId = "trial";
const lasting = ["nginx", "server", "consumer", "gateway", "redis", "postgres"];

let device: TrialDevice;

describe("Fleetlog in containers", () => {
  after(async () => {
    device?.abandon();
    await trial.remove();
  });

  test("starts healthy, with a generated password", async (t) => {
    const startedAt = performance.now();
    const said = await trial.manage("start");
    t.diagnostic(`healthy after ${seconds(startedAt)} s, a new image included`);
    assert.match(said, new RegExp(`http://127.0.0.1:${trial.ports.http}`));
    const settings = readFileSync(trial.envFile, "utf8");
    for (const name of ["POSTGRES_PASSWORD", "GATEWAY_DATABASE_PASSWORD"])
      assert.match(settings, new RegExp(`^${name}=[0-9a-f]{32}$`, "m"));
    await trial.manage("health");
    const size = await trial.docker("image", "inspect", "--format", "{{.Size}}", "fleetlog:local");
    t.diagnostic(`the image has ${Math.round(Number(size) / 1e6)} MB`);
    assert.ok(Number(size) < 250e6);
  });

  test("has only Node in our containers, and no process runs as root", async () => {
    const [server] = await trial.containers("server");
    await assert.rejects(trial.docker("exec", server ?? "", "/bin/sh", "-c", "true"), /no such file/);
    for (const service of lasting) {
      for (const container of await trial.containers(service)) {
        const user = await trial.docker("inspect", "--format", "{{.Config.User}}", container);
        assert.match(user, /^[1-9]\d*:[1-9]\d*$/, service);
      }
    }
  });

  test("stores a record and returns it", async (t) => {
    const said = await trial.manage("send-test");
    for (const line of said.split("\n")) t.diagnostic(line);
    device = startTrialDevice(deviceId, `127.0.0.1:${trial.ports.grpc}`);
    await waitFor("the first acknowledgement", () => device.acknowledged > 0);
  });

  test("answers on the published HTTP port", async () => {
    const url = `http://127.0.0.1:${trial.ports.http}`;
    const answer = await waitFor("the device's logs", async () => {
      const response = await fetch(`${url}/v1/logs?device_id=${deviceId}&page_size=1`);
      const text = await response.text();
      return text.includes("record") ? text : undefined;
    });
    assert.match(answer, /"deviceId":"trial"/);
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    const page = await fetch(url, { headers: { accept: "text/html" } });
    assert.match(await page.text(), /<script type="module"/);
    assert.equal((await fetch(`${url}/metrics`)).status, 404);
  });

  test("passes its doctor", async (t) => {
    const said = await trial.manage("doctor");
    t.diagnostic(said);
    assert.match(said, /, 0 wrong$/m);
  });

  test("balances calls over servers that join, without a reload, and continues when they leave", async (t) => {
    for (const count of [4, 1, 2]) {
      const startedAt = performance.now();
      await trial.manage("scale", `server=${count}`);
      const servers = await trial.containers("server");
      assert.equal(servers.length, count);
      const before = new Map(
        await Promise.all(servers.map(async (id) => [id, await findCalls(id)] as const)),
      );
      let [pushed, failed] = [0, 0];
      await waitFor(
        `calls at each of ${count} servers`,
        async () => {
          for (let call = 0; call < 20; call += 1, pushed += 1)
            if (!(await pushOne(trial.ports.http))) failed += 1;
          const now = await Promise.all(
            servers.map(async (id) => (await findCalls(id)) > (before.get(id) ?? 0)),
          );
          return now.every(Boolean);
        },
        30_000,
      );
      t.diagnostic(
        `${count} servers: all used after ${seconds(startedAt)} s, ${failed} of ${pushed} pushes failed`,
      );
      const kept = readFileSync(trial.envFile, "utf8");
      assert.match(kept, new RegExp(`^SERVER_REPLICAS=${count}$`, "m"));
    }
    await trial.manage("health");
  });

  for (const service of lasting) {
    test(`survives a restart of ${service}`, async (t) => {
      const startedAt = performance.now();
      await trial.manage("restart", service);
      const acknowledged = device.acknowledged;
      await waitFor("acknowledgements again", () => device.acknowledged > acknowledged, 60_000);
      await waitFor("health", async () => (await trial.manageResult("health")).exitCode === 0, 60_000);
      t.diagnostic(`well again after ${seconds(startedAt)} s`);
      await trial.manage("send-test");
    });
  }

  test("stores records acknowledged while no consumer ran, once one runs again", async () => {
    const [consumer = ""] = await trial.containers("consumer");
    await trial.docker("kill", consumer); // which no restart policy undoes
    assert.ok(await pushOne(trial.ports.http));
    assert.notEqual((await trial.manageResult("health")).exitCode, 0);
    await trial.manage("start");
    await trial.manage("send-test");
  });

  test("follows containers that return under other addresses", async () => {
    await trial.compose("up", "--detach", "--wait", "--force-recreate", "server", "gateway");
    await trial.manage("send-test");
  });

  test("replaces nothing when started again while it runs", async () => {
    const before = await trial.started(lasting);
    await trial.manage("start");
    assert.equal(await trial.started(lasting), before);
    await trial.manage("send-test");
  });

  test("serves TLS when configured, and requires device certificates", () => tryTls(trial));

  test("is covered by Prometheus, and by every alert and dashboard", (t) => tryMonitoring(trial, t));

  test("keeps its data across stop and start", async (t) => {
    await trial.manage("stop");
    assert.deepEqual(await trial.containers("postgres"), []);
    const startedAt = performance.now();
    await trial.manage("start");
    t.diagnostic(`healthy after ${seconds(startedAt)} s`);
    const acknowledged = device.acknowledged;
    await waitFor("acknowledgements again", () => device.acknowledged > acknowledged, 60_000);
  });

  test("has stored every acknowledged record, once", async (t) => {
    await device.stop();
    const { acknowledged, delayed, reconnects } = device;
    t.diagnostic(
      `${acknowledged} records, ${reconnects} connections lost, ${delayed} batches refused for now`,
    );
    await waitFor("all records", async () => (await storedRecords()) >= acknowledged, 60_000);
    assert.equal(await storedRecords(), acknowledged);
    assert.equal(await trial.sql("SELECT count(*) FROM dead_letters"), "0");
  });

  test("restores a backup, and keeps its data when the file is bad", async () => {
    const file = join(trial.folder, "backup.dump");
    await trial.manage("backup", file);
    const stored = await storedRecords();
    await trial.manage("send-test");
    const sendTests = "SELECT count(*) FROM logs WHERE device_id = 'send-test'";
    const before = Number(await trial.sql(sendTests));
    assert.match((await trial.manageResult("restore", trial.envFile, "--yes")).stderr, /no backup/);
    assert.equal(Number(await trial.sql(sendTests)), before);
    // A client is connected to the database all the time, as Grafana would be.
    const visit = trial.manageResult("psql", "-c", "SELECT pg_sleep(300)");
    const visits = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'";
    await waitFor("the visitor", async () => (await trial.sql(visits)) === "1");
    await trial.manage("restore", file, "--yes");
    assert.match((await visit).stderr, /terminating connection/);
    assert.equal(await storedRecords(), stored);
    assert.equal(Number(await trial.sql(sendTests)), before - 1);
    await trial.manage("send-test");
  });

  test("offers the other commands", async (t) => {
    assert.match(await trial.manage("status"), /healthy/);
    assert.match(await trial.manage("redis", "ping"), /PONG/);
    await trial.manage("migrate");
    assert.ok(JSON.parse(await trial.manage("doctor", "--json")));
    const letters = ["/usr/local/bin/node", "dead-letters/main.ts", "list"];
    assert.equal(await trial.compose("exec", "-T", "consumer", ...letters), "");
    t.diagnostic(await trial.manage("bench"));
  });

  test("leaves nothing behind after clean", async () => {
    await trial.manage("clean", "--yes");
    const filter = `label=com.docker.compose.project=${trial.project}`;
    assert.equal(await trial.docker("ps", "--all", "--quiet", "--filter", filter), "");
    assert.equal(await trial.docker("volume", "ls", "--quiet", "--filter", filter), "");
    assert.ok(existsSync(trial.envFile));
  });
});

/** How many calls a server has answered. */
async function findCalls(container: string): Promise<number> {
  const script = `fetch("http://127.0.0.1:9101/metrics").then((answer) => answer.text()).then(console.log)`;
  const text = await trial.docker("exec", container, "/usr/local/bin/node", "-e", script);
  const counts = text.matchAll(/^grpc_server_started_total\{.*"PushLogs".*\} (\d+)/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function storedRecords(): Promise<number> {
  return Number(await trial.sql(`SELECT count(*) FROM logs WHERE device_id = '${deviceId}'`));
}

function seconds(startedAt: number): string {
  return ((performance.now() - startedAt) / 1_000).toFixed(1);
}
