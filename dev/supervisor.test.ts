import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { copyFile, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { projectFolder } from "./folders.ts";
import { freePort } from "./free-port.ts";
import { postgresUser } from "./postgres-user.ts";
import { processIdentity } from "./process-identity.ts";
import { Started } from "./testing/start-in-test.ts";

const withinMs = 60_000;

// One `npm start` after the other in one folder, which keeps running through every failure.
describe("npm start as a supervisor", () => {
  let folder: string;
  let ports: { http: number; grpc: number };
  let started: Started;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "supervisor-"));
    ports = { http: await freePort(), grpc: await freePort() };
    started = new Started(folder, ports, {});
    await started.up();
  });
  after(async () => {
    started.process.kill("SIGINT");
    await started.ended;
    await rm(folder, { recursive: true, force: true });
  });

  const at = (path: string) => `http://127.0.0.1:${ports.http}${path}`;
  const signal = { timeout: () => AbortSignal.timeout(10_000) };
  /** Whether a record was accepted. */
  const push = async (message: string): Promise<boolean> => {
    const body = JSON.stringify({ batch: { deviceId: "d", records: [{ message }] } });
    const headers = { "content-type": "application/json" };
    const url = at("/fleetlog.v1.IngestService/PushLogs");
    const answer = await fetch(url, { method: "POST", headers, body, signal: signal.timeout() }).catch(
      () => undefined,
    );
    return answer?.ok === true && /"accepted":1/.test(await answer.text());
  };
  const query = async (): Promise<string> => {
    const answer = await fetch(at("/v1/logs?page_size=100"), { signal: signal.timeout() }).catch(
      () => undefined,
    );
    return answer?.ok ? await answer.text() : "";
  };
  const accepted = (message: string) => waitFor(`${message} to be accepted`, () => push(message), withinMs);
  const stored = (message: string) =>
    waitFor(`${message} to be stored`, async () => (await query()).includes(message), withinMs);

  const names = { nginx: "Nginx", redis: "Redis", postgres: "PostgreSQL" } as const;
  for (const part of ["nginx", "redis", "postgres", "server-1", "consumer", "gateway"]) {
    test(`${part} killed is started again, and everything goes on`, async () => {
      const title = names[part as keyof typeof names] ?? part;
      const from = started.output.length;
      process.kill(await started.pidOf(part), "SIGKILL");
      await waitFor(
        `${part} to be back`,
        () => started.output.slice(from).includes(`${title} is ready again`),
        withinMs,
      );
      await accepted(`after ${part}`);
      await stored(`after ${part}`);
    });
  }

  for (const part of ["nginx", "postgres", "server-1", "consumer", "gateway"]) {
    test(`while ${part} hangs, batches are accepted`, async () => {
      const pid = await started.pidOf(part);
      process.kill(pid, "SIGSTOP");
      try {
        await accepted(`hangs ${part}`);
      } finally {
        process.kill(pid, "SIGCONT");
      }
      await stored(`hangs ${part}`);
    });
  }

  test("a consumer killed while PostgreSQL hangs waits for it, and batches are accepted", async () => {
    const postgres = await started.pidOf("postgres");
    const before = await started.pidOf("consumer");
    process.kill(postgres, "SIGSTOP");
    try {
      process.kill(before, "SIGKILL");
      const now = await waitFor("another consumer", async () => {
        const pid = await started.pidOf("consumer").catch(() => before);
        return pid !== before && pid;
      });
      await accepted("without PostgreSQL");
      assert.ok(processIdentity(now));
    } finally {
      process.kill(postgres, "SIGCONT");
    }
    await stored("without PostgreSQL");
  });

  test("while Redis cannot start, queries work; the start is retried until it succeeds", async () => {
    const manifest = join(folder, "redis/appendonlydir/appendonly.aof.manifest");
    await copyFile(manifest, `${manifest}.kept`);
    const from = started.output.length;
    await writeFile(manifest, "not what Redis wrote\n");
    process.kill(await started.pidOf("redis"), "SIGKILL");
    await waitFor("the reason", () => started.output.slice(from).includes("Redis failed to start"), withinMs);
    assert.match(await query(), /after redis/);
    assert.equal(await push("refused"), false);
    await copyFile(`${manifest}.kept`, manifest);
    await rm(`${manifest}.kept`);
    await waitFor("Redis", () => started.output.slice(from).includes("Redis is ready again"), withinMs);
    await accepted("after the disk was full");
    await stored("after the disk was full");
  });

  test("Ctrl-C stops everything although PostgreSQL hangs", async () => {
    const pids = await started.childPids();
    process.kill(await started.pidOf("postgres"), "SIGSTOP");
    started.process.kill("SIGINT");
    assert.equal(await started.ended, 0);
    for (const pid of pids) assert.equal(processIdentity(pid), undefined);
  });

  test("starts although its last run and Nginx's master were killed, with workers left on the ports", async () => {
    started = new Started(folder, ports, {});
    await started.up();
    const nginx = await started.pidOf("nginx");
    const watchdogs = findWatchdogs(started.process.pid ?? 0);
    assert.ok(watchdogs.length >= 7);
    for (const pid of [...watchdogs, started.process.pid ?? 0, nginx]) process.kill(pid, "SIGKILL");
    await started.ended;
    await waitFor("the workers to be alone", () => processIdentity(nginx) === undefined);
    assert.equal((await fetch(at("/livez"))).status, 200, "the workers serve on");
    started = new Started(folder, ports, {});
    await started.up();
    await accepted("after all was killed");
    await stored("after all was killed");
  });

  test("starts although postmaster.pid names a process that is not PostgreSQL", async () => {
    const folders = (/Data +(.*)$/m.exec(started.output)?.[1] ?? "").split(" and ");
    const data = folders
      .map((path) => join(path, "postgres"))
      .find((path) => existsSync(join(path, "PG_VERSION")));
    const postgres = await started.pidOf("postgres");
    started.process.kill("SIGKILL");
    await started.ended;
    await waitFor("PostgreSQL to end", () => processIdentity(postgres) === undefined);
    const other = spawn("/bin/sleep", ["1000"], { ...postgresUser(), cwd: "/", stdio: "ignore" });
    try {
      // The content that a killed postmaster leaves: its pid, folder, start, port, socket folder and
      // address.
      await writeFile(join(data ?? "", "postmaster.pid"), `${other.pid}\n${data}\n1\n5432\n\n127.0.0.1\n`);
      started = new Started(folder, ports, {});
      await started.up();
      await stored("after all was killed");
      assert.ok(processIdentity(other.pid ?? 0), "it is left alone");
    } finally {
      other.kill("SIGKILL");
    }
  });
});

test("a stale install.lock whose pid was reused does not block a start", async (t) => {
  const project = await mkdtemp(join(tmpdir(), "bootstrap-"));
  t.after(() => rm(project, { recursive: true, force: true }));
  await mkdir(join(project, "local"));
  await cp(join(projectFolder, "dev/bootstrap.mjs"), join(project, "dev/bootstrap.mjs"));
  const lockfile = {
    name: "x",
    version: "1.0.0",
    lockfileVersion: 3,
    packages: { "": { name: "x", version: "1.0.0" } },
  };
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "x", version: "1.0.0" }));
  await writeFile(join(project, "package-lock.json"), JSON.stringify(lockfile));
  await mkdir(join(project, ".fleetlog/install.lock"), { recursive: true });
  await writeFile(join(project, ".fleetlog/install.lock/pid"), `${process.pid} 1`);
  const run = spawn(process.execPath, [join(project, "dev/bootstrap.mjs"), "x.ts"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  t.after(() => run.kill("SIGKILL"));
  let said = "";
  run.stderr.on("data", (data) => (said += String(data)));
  await waitFor("the installation to be tried", () => /Installing dependencies/.test(said), withinMs);
});

/** The watchdog shells that end a process when `npm start` has died. */
function findWatchdogs(parent: number): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const isChild = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent;
        return isChild && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("fleetlog-watchdog");
      } catch {
        return false; // it ended
      }
    });
}
