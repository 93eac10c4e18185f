import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type MeasuredRow, measureRow } from "#bench/ratios/measure-row.ts";
import { ratiosPage } from "#bench/ratios/page.ts";
import { RatioBench } from "#bench/ratios/ratio-bench.ts";
import { rows } from "#bench/ratios/rows.ts";
import { writeResults } from "#bench/results-folder.ts";
import { someOf, wholeNumber } from "#lib/options.ts";

const options = new Command("npm run bench --")
  .description("What Fleetlog's speed is in proportion to what this machine can do at all.")
  .option("--rows <names>", `some of ${Object.keys(rows).join(", ")}`, someOf(Object.keys(rows)))
  .option("--rounds <n>", "number of rounds; the page shows medians", wholeNumber(1, 1_000), 5)
  .option(
    "--scale <factor>",
    "how much each round sends; far below 1 the figures are worth nothing",
    factor,
    1,
  )
  .option("--json", "what was measured instead of the page")
  .option("--no-save", "keeps no page in bench/results")
  .option("--cpu-prof <folder>", "each program leaves a profile there")
  .parse()
  .opts<{
    rows?: readonly string[];
    rounds: number;
    scale: number;
    json?: boolean;
    save: boolean;
    cpuProf?: string;
  }>();
const { rounds, scale } = options;

const measured: MeasuredRow[] = [];
{
  await using bench = new RatioBench(scale, await profiling());
  for (const name of options.rows ?? Object.keys(rows)) {
    process.stderr.write(`${name} …\n`);
    measured.push(await measureRow(name, rows[name]!, bench, rounds));
  }
}
const command = `npm run bench -- ${process.argv.slice(2).join(" ")}`.replace(/ -- $/, "");
const page = ratiosPage(measured, { rounds, command });
process.stdout.write(options.json ? `${JSON.stringify(measured)}\n` : page);
if (options.save) await writeResults("ratios", page);

/** Node's own profiler writes a file per program when it ends. */
async function profiling(): Promise<Record<string, string>> {
  const folder = options.cpuProf;
  if (folder === undefined) return {};
  await mkdir(folder, { recursive: true });
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${resolve(folder)}` };
}

function factor(text: string): number {
  if (Number(text) > 0 && Number(text) <= 100) return Number(text);
  throw new InvalidArgumentError("wanted a number above 0, at most 100");
}
