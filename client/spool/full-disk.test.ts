import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { execa } from "execa";

const project = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "fleetlog-full-disk-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("reports a spool that became unwritable, with the unsent lines", async () => {
  const file = join(folder, "app.log");
  writeFileSync(file, "one line of a log\n".repeat(20_000));
  const spool = join(folder, "spool");
  // A bound for the files of a process is the full disk that needs no root.
  const command = `trap '' XFSZ; ulimit -f 64; exec "$@"`;
  const send = [process.execPath, "client/fleetlog.mjs", "send", "-d", "d", "-a", "127.0.0.1:1"];
  const { exitCode, stderr } = await execa(
    "sh",
    ["-c", command, "sh", ...send, "--give-up-after", "3", "--spool", spool, file],
    {
      cwd: project,
      reject: false,
      timeout: 60_000,
    },
  );
  assert.equal(exitCode, 1, stderr);
  assert.ok(stderr.includes(`the spool's ${spool}/`), stderr);
  assert.match(stderr, /cannot be written: this user may not write files that large$/m);
  // Nothing behind the batch that was not kept is sent: the same run made again would send it twice.
  assert.match(stderr, /^not acknowledged: .*app\.log:1-500$/m);
  assert.doesNotMatch(stderr, /are kept in/);
});

test("a pipe ends when its spool becomes unwritable, and names the read lines, though its writer is silent", async () => {
  const spool = join(folder, "pipe-spool");
  const command = `(head -c 100000 /dev/zero | tr '\\0' x | fold -w 1000; sleep 60) | (trap '' XFSZ; ulimit -f 64; exec "$@")`;
  const send = [process.execPath, "client/fleetlog.mjs", "send", "-d", "d", "-a", "127.0.0.1:1"];
  const started = execa("sh", ["-c", command, "sh", ...send, "--give-up-after", "3", "--spool", spool], {
    cwd: project,
    reject: false,
    timeout: 50_000,
  });
  let said = "";
  for await (const chunk of started.stderr) {
    said += String(chunk);
    if (said.includes("run it again") || /^not acknowledged: /m.test(said)) break;
  }
  started.kill();
  await started;
  assert.match(said, /cannot be written: this user may not write files that large$/m);
  assert.match(said, /^not acknowledged: stdin:1-/m);
});
