import { spawnSync } from "node:child_process";
import { projectFolder } from "#dev/folders.ts";
import { checks } from "./checks.ts";

// `npm run check`: everything that can be said about the source without running it.

let failures = 0;
for (const { name, run } of checks) {
  const wrong = run();
  if (wrong === undefined) console.log(`- ${name}: cannot be checked here`);
  else if (wrong === "") console.log(`✓ ${name}`);
  else {
    failures += 1;
    console.log(`✗ ${name}\n${wrong}\n`);
  }
}
const tidy = spawnSync(process.execPath, ["--test", "test/tidy.test.ts"], {
  cwd: projectFolder,
  encoding: "utf8",
});
if (tidy.status === 0) console.log("✓ tidy");
else {
  failures += 1;
  console.log(`✗ tidy\n${tidy.stdout}`);
}
process.exitCode = failures === 0 ? 0 : 1;
