import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { allBlocks } from "./blocks/all.ts";
import { isClean, report } from "./report.ts";
import { runBlock } from "./run-block.ts";
import { Target } from "./target.ts";

// `npm run fuzz`: sends what nobody should send to a system of its own, and prints what came back. `--block frames
// --index 137` makes one case again, as it was made with the same seed. Exit code 0: everything held; 1: it did not.

const { values } = parseArgs({
  options: {
    block: { type: "string", default: allBlocks.map(({ name }) => name).join(",") },
    count: { type: "string" },
    index: { type: "string" },
    seed: { type: "string", default: "1" },
  },
});
const seed = wholeNumber("seed", values.seed);
const chosen = values.block.split(",").map((name) => {
  const block = allBlocks.find((one) => one.name === name);
  if (block !== undefined) return block;
  throw new Error(`--block ${name}: wanted one of ${allBlocks.map((one) => one.name).join(", ")}`);
});

// One folder for all there is, so that a run that is killed leaves one thing to remove.
const folder = await mkdtemp(join(tmpdir(), "fleetlog-fuzz-run-"));
await chmod(folder, 0o755);
process.env.TMPDIR = folder;

let clean = true;
try {
  await using target = await Target.start();
  for (const block of chosen) {
    const result = await runBlock(target, block, seed, indexesOf(block.countFull));
    clean &&= isClean(result);
    console.log(report(result, seed));
  }
} finally {
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
}
process.exit(clean ? 0 : 1);

function indexesOf(countFull: number): readonly number[] {
  if (values.index !== undefined) return [wholeNumber("index", values.index)];
  const count = wholeNumber("count", values.count ?? String(countFull));
  return Array.from({ length: count }, (_, index) => index);
}

function wholeNumber(name: string, value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw new Error(`--${name} ${value}: wanted a whole number of at most nine digits`);
}
