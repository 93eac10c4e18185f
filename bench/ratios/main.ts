import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type MeasuredRow, measureRow } from "#bench/ratios/measure-row.ts";
import { ratiosPage } from "#bench/ratios/page.ts";
import { RatioBench } from "#bench/ratios/ratio-bench.ts";
import { rows } from "#bench/ratios/rows.ts";
import { writeResults } from "#bench/results-folder.ts";

/*
 * `npm run bench [-- --rows end-to-end,drain] [--rounds 5] [--scale 1] [--json] [--no-save] [--cpu-prof FOLDER]`: what
 * Fleetlog's speed is in proportion to what this machine can do at all. `--scale` multiplies how much each round
 * sends; the figures of a scale far below 1 are worth nothing. With `--cpu-prof` each program leaves a profile.
 */
const { values } = parseArgs({
  options: {
    rows: { type: "string", default: Object.keys(rows).join(",") },
    rounds: { type: "string", default: "5" },
    scale: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
    "no-save": { type: "boolean", default: false },
    "cpu-prof": { type: "string" },
  },
});
const [rounds, scale] = [Number(values.rounds), Number(values.scale)];
const names = values.rows.split(",");
const unknown = names.find((name) => rows[name] === undefined);
if (unknown !== undefined || !(rounds >= 1) || !(scale > 0)) {
  process.stderr.write(
    unknown === undefined
      ? "wanted: --rounds of at least 1, --scale above 0\n"
      : `there is no row ${unknown}: there are ${Object.keys(rows).join(", ")}\n`,
  );
  process.exit(1);
}

const measured: MeasuredRow[] = [];
{
  await using bench = new RatioBench(scale, await profiling());
  for (const name of names) {
    process.stderr.write(`${name} …\n`);
    measured.push(await measureRow(name, rows[name]!, bench, rounds));
  }
}
const command = `npm run bench -- ${process.argv.slice(2).join(" ")}`.replace(/ -- $/, "");
const page = ratiosPage(measured, { rounds, command });
process.stdout.write(values.json ? `${JSON.stringify(measured)}\n` : page);
if (!values["no-save"]) await writeResults("ratios", page);

/** Node's own profiler writes a file per program when it ends. */
async function profiling(): Promise<Record<string, string>> {
  const folder = values["cpu-prof"];
  if (folder === undefined) return {};
  await mkdir(folder, { recursive: true });
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${resolve(folder)}` };
}
