import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { execa } from "execa";

const project = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "fleetlog-dry-run-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const fleetlog = (...args: string[]) =>
  execa(process.execPath, ["client/fleetlog.mjs", "send", ...args], { cwd: project, reject: false });

test("--dry-run shows the first records of a file, and needs neither a device nor a server", async () => {
  const path = join(folder, "app.log.gz");
  const lines = [
    "2026-11-27T17:01:02Z ERROR failed",
    "  at here",
    ...Array.from({ length: 100 }, (_, n) => `line ${n}`),
  ];
  writeFileSync(path, gzipSync(lines.join("\n")));
  const { exitCode, stdout, stderr } = await fleetlog("--dry-run", path);
  assert.equal(stderr, "");
  assert.equal(exitCode, 0);
  const shown = stdout.split("\n");
  assert.equal(shown.length, 21);
  assert.match(
    shown[0] ?? "",
    /app\.log\.gz:1-2 {2}2026-11-27T17:01:02\.000Z \(by 2026-11-27T17:01:02\) {2}ERROR {2}.*failed\u23ce/,
  );
  assert.match(shown[20] ?? "", /found a time in 1 of the first \d+ lines$/);
});

test("reports a damaged file after the records before the damage, and continues with the next file", async () => {
  const damaged = join(folder, "damaged.log.gz");
  const next = join(folder, "next.log");
  writeFileSync(damaged, gzipSync("the first line\nthe second\n").subarray(0, -8));
  writeFileSync(next, "of the next\n");
  const { exitCode, stdout, stderr } = await fleetlog("--dry-run", damaged, next);
  assert.equal(exitCode, 1);
  assert.match(stdout, /damaged\.log\.gz:1 .*the first line\n[^]*next\.log:1 .*of the next\n/);
  assert.equal(stderr, `cannot read ${damaged}: unexpected end of file`);
});

test("names a missing file, and sending requires a device", async () => {
  const missing = await fleetlog("--dry-run", join(folder, "missing.log"));
  assert.equal(missing.exitCode, 1);
  assert.match(missing.stderr, /^cannot read .*missing\.log: /);
  const nameless = await fleetlog(join(folder, "app.log.gz"));
  assert.notEqual(nameless.exitCode, 0);
  assert.match(nameless.stderr, /--device/);
});
