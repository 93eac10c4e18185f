import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { FolderInUseError, lockFolder } from "./folder-lock.ts";

test("lets one process lock a folder, and names it to the others", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "lock-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  {
    using _lock = lockFolder(folder);
    assert.throws(
      () => lockFolder(folder),
      (error) => error instanceof FolderInUseError && error.pid === process.pid,
    );
  }
  using _again = lockFolder(folder);
});

test("is free again when its owner is killed", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "lock-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const module = fileURLToPath(new URL("folder-lock.ts", import.meta.url));
  const script = `const { lockFolder } = await import(${JSON.stringify(module)});
    globalThis.lock = lockFolder(${JSON.stringify(folder)}); console.log("held");
    setInterval(() => {}, 60_000);`;
  const owner = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => owner.stdout.once("data", resolve));
  assert.throws(() => lockFolder(folder), FolderInUseError);
  const ended = new Promise((resolve) => owner.once("exit", resolve));
  owner.kill("SIGKILL");
  await ended;
  using _lock = lockFolder(folder);
});
