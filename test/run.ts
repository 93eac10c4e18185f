import { spawn } from "node:child_process";
import { projectFolder } from "#local/folders.ts";

// `npm test [-- FILE…]`: all test files, or those given. Folders and globs may be given too.

const given = process.argv.slice(2);
const options = given.filter((argument) => argument.startsWith("-"));
const files = given.filter((argument) => !argument.startsWith("-"));
const wanted =
  files.length > 0
    ? files.map((file) => (/\.ts$|\*/.test(file) ? file : `${file}/**/*.test.ts`))
    : ["{batch,bench,client,consumer,gateway,lib,local,nginx,postgres,server,stream,test}/**/*.test.ts"];

const runner = spawn(
  process.execPath,
  [
    ...["--test", "--test-global-setup=test/support/global-setup.ts", "--test-concurrency=2"],
    ...["--test-reporter=spec", "--test-timeout=120000", ...options, ...wanted],
  ],
  { cwd: projectFolder, stdio: "inherit" },
);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => runner.kill(signal));
runner.on("exit", (code) => process.exit(code ?? 1));
