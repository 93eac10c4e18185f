import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { someOf, wholeNumber } from "#lib/options.ts";
import { allBlocks } from "./blocks/all.ts";
import { isClean, report } from "./report.ts";
import { runBlock } from "./run-block.ts";
import { Target } from "./target.ts";

const names = allBlocks.map(({ name }) => name);
const {
  block: wanted,
  count,
  index,
  seed,
} = new Command("npm run fuzz --")
  .description(
    "Sends invalid input to a system of its own and prints the outcomes.\n" +
      "Exit code 0: everything held; 1: it did not.",
  )
  .option("--block <names>", `some of ${names.join(", ")}`, someOf(names), names)
  .option("--count <n>", "cases of each block", wholeNumber(1, 999_999_999))
  .option("--index <n>", "one case again, as it was made with the same seed", wholeNumber(0, 999_999_999))
  .option("--seed <n>", "the same seed, the same cases", wholeNumber(0, 999_999_999), 1)
  .parse()
  .opts<{ block: readonly string[]; count?: number; index?: number; seed: number }>();
const chosen = allBlocks.filter(({ name }) => wanted.includes(name));

// One folder for all there is, so that a run that is killed leaves one thing to remove.
const folder = await mkdtemp(join(tmpdir(), "fleetlog-fuzz-run-"));
await chmod(folder, 0o755);
process.env.TMPDIR = folder;

let clean = true;
try {
  await using target = await Target.start();
  for (const block of chosen) {
    const result = await runBlock(target, block, seed, parseIndexes(block.countFull));
    clean &&= isClean(result);
    console.log(report(result, seed));
  }
} finally {
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
}
process.exit(clean ? 0 : 1);

function parseIndexes(countFull: number): readonly number[] {
  if (index !== undefined) return [index];
  return Array.from({ length: count ?? countFull }, (_, index) => index);
}
