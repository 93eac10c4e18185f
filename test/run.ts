import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectFolder } from "#dev/folders.ts";

// `npm test [-- FILE… FOLDER… OPTION…]`: all test files, or those given. Every temporary file of the run, PostgreSQL's
// data included, lies in one folder, which goes with it however the run ends.

const given = process.argv.slice(2);
const options = given.filter((argument) => argument.startsWith("-"));
const files = given.filter((argument) => !argument.startsWith("-"));
const patterns =
  files.length > 0
    ? files.map((file) => (/\.ts$|\*/.test(file) ? file : `${file.replace(/\/$/, "")}/**/*.test.ts`))
    : [
        "{batch,bench,client,clients,consumer,dashboard,dead-letters,dev,doctor,gateway,lib,nginx,postgres,rpc,server,stream,test}/**/*.test.ts",
      ];

const folder = await mkdtemp(join(tmpdir(), "fleetlog-test-"));
await chmod(folder, 0o755); // PostgreSQL may run as another user

const runner = spawn(
  process.execPath,
  [
    "--test",
    "--test-global-setup=test/support/global-setup.ts",
    // Most of the time a file waits: for a restart, a lease, a pause. Two at once leave half of two cores idle.
    "--test-concurrency=3",
    "--test-timeout=180000",
    "--test-reporter=spec",
    ...options,
    ...patterns,
  ],
  { cwd: projectFolder, stdio: "inherit", env: { ...process.env, TMPDIR: folder } },
);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => runner.kill(signal));
runner.on("exit", (code) => {
  // After an interrupted run PostgreSQL may still be writing its last files: hence the retries.
  void rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 }).finally(() =>
    process.exit(code ?? 1),
  );
});
