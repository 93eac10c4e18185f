import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { Child, type ChildOptions } from "./child.ts";
import { endLeftovers, writePidFile } from "./leftovers.ts";
import { processIdentity } from "./process-identity.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetlog-child-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("stops a child with its signal and removes its pid file", async () => {
  const child = await Child.start(
    shell("gentle", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"),
  );
  await child.until(async () => child.output().includes("up") || undefined, 5_000);
  assert.ok(existsSync(join(folder, "run/gentle.pid")));
  await child.stop();
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  assert.match(child.output(), /bye/);
  assert.ok(!existsSync(join(folder, "run/gentle.pid")));
});

test("kills a child that does not stop in time, and what that child started", async () => {
  const child = await Child.start({
    ...shell("stubborn", "trap '' TERM; sleep 1000 & echo $!; wait; wait; wait"),
    stopWithinMs: 100,
  });
  const sleeper = Number(await child.until(async () => child.output().trim() || undefined, 5_000));
  await child.stop();
  assert.equal((await child.exited).signal, "SIGKILL");
  await waitFor("the grandchild to end", () => processIdentity(sleeper) === undefined);
});

test("shows the last lines of a child that exits during its start, and what to do", async () => {
  const child = await Child.start({
    ...shell("broken", "echo cannot read data; exit 3"),
    advice: "Move it away.",
  });
  await assert.rejects(
    child.until(async () => undefined, 5_000),
    /broken ended during start \(exit code 3\).*broken\.log:\n {4}cannot read data\nMove it away\.$/s,
  );
});

test("says why a child was not ready in time, after stopping it", async () => {
  const child = await Child.start(shell("slow", "exec sleep 1000"));
  await assert.rejects(
    child.until(
      async () => undefined,
      50,
      () => "redis: starting",
    ),
    /slow was not ready within 0\.05 s \(redis: starting\)/,
  );
  assert.ok(child.hasExited);
});

test("says that a command does not exist", async () => {
  await assert.rejects(
    Child.start({ ...shell("absent", ""), command: join(folder, "absent") }),
    /absent: .*ENOENT/,
  );
});

test("ends the processes of an earlier start, and none that only has its pid", async () => {
  const options = shell("leftover", "exec sleep 1000");
  const left = await Child.start(options);
  const identity = await readFile(options.pidFile, "utf8");

  await writeFile(options.pidFile, identity.replace(/ .+$/m, " 1"));
  const other = await Child.start({ ...options, name: "other" });
  assert.ok(!left.hasExited, "another process with the same pid is left alone");
  await other.stop();

  await writeFile(options.pidFile, identity);
  const next = await Child.start(options);
  await left.exited;
  await next.stop();
});

test("ends the orphans of a killed child, immediately or at the next start", async () => {
  const script = "sleep 1000 & echo $!; wait";
  const options = shell("master", script);
  const master = await Child.start(options);
  const worker = Number(await master.until(async () => master.output().trim() || undefined, 5_000));
  process.kill(master.pid, "SIGKILL");
  await master.exited;
  await waitFor("the worker to end", () => processIdentity(worker) === undefined);

  // As if we had been killed too: a group without its leader, and its pid file.
  const group = spawn("/bin/sh", ["-c", "sleep 1000 & echo $!; exec sleep 1000"], {
    cwd: folder,
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const orphan = Number(
    await new Promise<string>((resolve) => group.stdout.once("data", (data) => resolve(String(data)))),
  );
  writePidFile(options.pidFile, group.pid ?? 0, "SIGTERM");
  const ended = new Promise((resolve) => group.once("exit", resolve));
  process.kill(group.pid ?? 0, "SIGKILL");
  await ended;
  assert.ok(processIdentity(orphan), "it goes on without its leader");
  await endLeftovers(join(folder, "elsewhere"));
  assert.ok(processIdentity(orphan), "another folder's is left alone");
  await endLeftovers(folder);
  await waitFor("the orphan to end", () => processIdentity(orphan) === undefined);
});

function shell(name: string, script: string): ChildOptions {
  return {
    name,
    command: "/bin/sh",
    args: ["-c", script],
    cwd: folder,
    logFile: join(folder, `${name}.log`),
    pidFile: join(folder, "run", `${name}.pid`),
  };
}
