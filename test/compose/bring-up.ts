import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { execa } from "execa";
import { projectFolder } from "#local/folders.ts";
import { freePort } from "#local/free-port.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { pushOne } from "./push-one.ts";
import { startTrialDevice, type TrialDevice } from "./trial-device.ts";

// `npm run test:compose`: the whole of docker-compose.yml, by ./manage.sh, as a project of its own beside any other.
// Needs Docker with its command compose, and the base images or test/compose/stand-ins.sh; takes about four minutes.
// One device streams through the published port all the time, and in the end everything acknowledged is stored, once.

const folder = mkdtempSync(join(tmpdir(), "fleetlog-compose-"));
const [httpPort, grpcPort, tlsPort] = [await freePort(), await freePort(), await freePort()];
const openFilesMax = Number(spawnSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).stdout) || 65_536;
const env = {
  COMPOSE_PROJECT_NAME: `fleetlog-trial-${process.pid}`,
  FLEETLOG_ENV_FILE: join(folder, ".env"),
  HTTP_PORT: String(httpPort),
  GRPC_PORT: String(grpcPort),
  TLS_PORT: String(tlsPort),
  NGINX_OPEN_FILES_MAX: String(Math.min(openFilesMax, 65_536)),
  BENCH_SECONDS: "2",
};
const surroundings = { env, stdin: "ignore", timeout: 600_000 } as const;
const deviceId = "trial";

let device: TrialDevice;

describe("Fleetlog in containers", () => {
  after(async () => {
    device?.abandon();
    await manage("clean", "--yes");
    rmSync(folder, { recursive: true });
  });

  test("starts healthy, with a password of its own", async (t) => {
    const startedAt = performance.now();
    const { stdout } = await manage("start");
    t.diagnostic(`healthy after ${seconds(startedAt)} s, a new image included`);
    assert.match(stdout, new RegExp(`http://127.0.0.1:${httpPort}`));
    assert.match(readFileSync(env.FLEETLOG_ENV_FILE, "utf8"), /^POSTGRES_PASSWORD=[0-9a-f]{32}$/m);
    await manage("health");
    const size = await docker("image", "inspect", "--format", "{{.Size}}", "fleetlog:local");
    t.diagnostic(`the image has ${Math.round(Number(size) / 1e6)} MB`);
    assert.ok(Number(size) < 250e6);
  });

  test("has nothing but Node to run in our containers, and nobody is root", async () => {
    const [server] = await containers("server");
    await assert.rejects(docker("exec", server ?? "", "/bin/sh", "-c", "true"), /no such file/);
    for (const service of ["server", "consumer", "gateway", "nginx", "redis", "postgres"]) {
      for (const container of await containers(service)) {
        const user = await docker("inspect", "--format", "{{.Config.User}}", container);
        assert.match(user, /^[1-9]\d*:[1-9]\d*$/, service);
      }
    }
  });

  test("takes a record and gives it back", async (t) => {
    const { stdout } = await manage("send-test");
    for (const line of stdout.split("\n")) t.diagnostic(line);
    device = startTrialDevice(deviceId, `127.0.0.1:${grpcPort}`);
    await waitFor("the first acknowledgement", () => device.acknowledged > 0);
  });

  test("answers on the published HTTP port", async () => {
    const url = `http://127.0.0.1:${httpPort}`;
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

  test("is found well by its doctor", async (t) => {
    const { stdout } = await manage("doctor");
    t.diagnostic(stdout);
    assert.match(stdout, /, 0 wrong$/m);
  });

  test("spreads calls over servers that join, without a reload, and goes on when they leave", async (t) => {
    for (const count of [4, 1, 2]) {
      const startedAt = performance.now();
      await manage("scale", `server=${count}`);
      const servers = await containers("server");
      assert.equal(servers.length, count);
      const before = new Map(await Promise.all(servers.map(async (id) => [id, await callsOf(id)] as const)));
      let [pushed, failed] = [0, 0];
      await waitFor(
        `calls at each of ${count} servers`,
        async () => {
          for (let call = 0; call < 20; call += 1, pushed += 1) if (!(await pushOne(httpPort))) failed += 1;
          const now = await Promise.all(
            servers.map(async (id) => (await callsOf(id)) > (before.get(id) ?? 0)),
          );
          return now.every(Boolean);
        },
        30_000,
      );
      t.diagnostic(
        `${count} servers: all used after ${seconds(startedAt)} s, ${failed} of ${pushed} pushes failed`,
      );
      const kept = readFileSync(env.FLEETLOG_ENV_FILE, "utf8");
      assert.match(kept, new RegExp(`^SERVER_REPLICAS=${count}$`, "m"));
    }
    await manage("health");
  });

  for (const service of ["server", "consumer", "gateway", "redis", "postgres", "nginx"]) {
    test(`survives a restart of ${service}`, async (t) => {
      const startedAt = performance.now();
      await manage("restart", service);
      const acknowledged = device.acknowledged;
      await waitFor("acknowledgements again", () => device.acknowledged > acknowledged, 60_000);
      await waitFor("health", async () => (await manageResult("health")).exitCode === 0, 60_000);
      t.diagnostic(`well again after ${seconds(startedAt)} s`);
      await manage("send-test");
    });
  }

  test("follows containers that come back under other addresses", async () => {
    await compose("up", "--detach", "--wait", "--force-recreate", "server", "gateway");
    await manage("send-test");
  });

  test("replaces nothing when it is started again over what runs", async () => {
    const lasting = ["nginx", "server", "consumer", "gateway", "redis", "postgres"];
    const started = async () => {
      const ids = (await Promise.all(lasting.map(containers))).flat();
      return docker("inspect", "--format", "{{.Name}} {{.Id}} {{.State.StartedAt}}", ...ids);
    };
    const before = await started();
    await manage("start");
    assert.equal(await started(), before);
    await manage("send-test");
  });

  test("keeps its data over stop and start", async (t) => {
    await manage("stop");
    assert.deepEqual(await containers("postgres"), []);
    const startedAt = performance.now();
    await manage("start");
    t.diagnostic(`healthy after ${seconds(startedAt)} s`);
    const acknowledged = device.acknowledged;
    await waitFor("acknowledgements again", () => device.acknowledged > acknowledged, 60_000);
  });

  test("has stored every acknowledged record, once", async (t) => {
    await device.stop();
    const { acknowledged, delayed, reconnects } = device;
    t.diagnostic(
      `${acknowledged} records, ${reconnects} connections lost, ${delayed} batches told to come later`,
    );
    await waitFor("all records", async () => (await storedRecords()) >= acknowledged, 60_000);
    assert.equal(await storedRecords(), acknowledged);
    assert.equal(await sql("SELECT count(*) FROM dead_letters"), "0");
  });

  test("brings a backup back, and keeps what there is when the file is bad", async () => {
    const file = join(folder, "backup.dump");
    await manage("backup", file);
    const stored = await storedRecords();
    await manage("send-test");
    const sendTests = "SELECT count(*) FROM logs WHERE device_id = 'send-test'";
    const before = Number(await sql(sendTests));
    assert.match((await manageResult("restore", env.FLEETLOG_ENV_FILE, "--yes")).stderr, /no backup/);
    assert.equal(Number(await sql(sendTests)), before);
    await manage("restore", file, "--yes");
    assert.equal(await storedRecords(), stored);
    assert.equal(Number(await sql(sendTests)), before - 1);
    await manage("send-test");
  });

  test("offers the other commands", async (t) => {
    assert.match((await manage("status")).stdout, /healthy/);
    assert.match((await manage("redis", "ping")).stdout, /PONG/);
    await manage("migrate");
    t.diagnostic((await manage("bench")).stdout);
  });

  test("leaves nothing behind when it is cleaned away", async () => {
    await manage("clean", "--yes");
    const filter = `label=com.docker.compose.project=${env.COMPOSE_PROJECT_NAME}`;
    assert.equal(await docker("ps", "--all", "--quiet", "--filter", filter), "");
    assert.equal(await docker("volume", "ls", "--quiet", "--filter", filter), "");
    assert.ok(existsSync(env.FLEETLOG_ENV_FILE));
  });
});

/** How many calls a server has answered. */
async function callsOf(container: string): Promise<number> {
  const script = `fetch("http://127.0.0.1:9101/metrics").then((answer) => answer.text()).then(console.log)`;
  const text = await docker("exec", container, "/usr/local/bin/node", "-e", script);
  const counts = text.matchAll(/^grpc_server_started_total\{.*"PushLogs".*\} (\d+)/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function storedRecords(): Promise<number> {
  return Number(await sql(`SELECT count(*) FROM logs WHERE device_id = '${deviceId}'`));
}

async function sql(query: string): Promise<string> {
  return (await manage("psql", "-Atc", query)).stdout.trim();
}

async function containers(service: string): Promise<string[]> {
  return (await compose("ps", "--quiet", service)).split("\n").filter(Boolean);
}

function manage(...args: readonly string[]) {
  return execa("./manage.sh", args, { ...surroundings, cwd: projectFolder });
}

function manageResult(...args: readonly string[]) {
  return execa("./manage.sh", args, { ...surroundings, cwd: projectFolder, reject: false });
}

async function compose(...args: readonly string[]): Promise<string> {
  return docker(
    "compose",
    "--project-directory",
    projectFolder,
    "--env-file",
    env.FLEETLOG_ENV_FILE,
    ...args,
  );
}

async function docker(...args: readonly string[]): Promise<string> {
  return (await execa("docker", args, surroundings)).stdout.trim();
}

function seconds(startedAt: number): string {
  return ((performance.now() - startedAt) / 1_000).toFixed(1);
}
