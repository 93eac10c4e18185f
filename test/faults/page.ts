import { isClean, type RunResult } from "./run.ts";
import type { AnyRun, FailedRun } from "./run-row.ts";

/** One row of the page, in the form of `--json`. */
export interface PageRow {
  readonly fault: string;
  readonly title: string;
  readonly runs: number;
  readonly bit: number;
  readonly lost: number;
  readonly doubled: number;
  readonly phantom: number;
  readonly mutated: number;
  /** The median and the longest; null when no run ended. */
  readonly recoverySeconds: number | null;
  readonly recoverySecondsMax: number | null;
  /** Acknowledged records that were judged. */
  readonly records: number;
  /** Runs after which the system did not come back. */
  readonly failed: number;
  /** Gone openly with Redis's memory, and reported by the system. */
  readonly excused: number;
  /** "" or why the row was not run. */
  readonly skipped: string;
  readonly faults: readonly string[];
}

/** Adds up the runs of one row. */
export function pageRow(
  { name, title }: { readonly name: string; readonly title: string },
  runs: readonly AnyRun[],
  skipped = "",
): PageRow {
  const ended = runs.filter((run): run is RunResult => !("failure" in run));
  const failed = runs.filter((run): run is FailedRun => "failure" in run);
  const sum = (of: (run: RunResult) => number) => ended.reduce((total, run) => total + of(run), 0);
  const recovery = ended.map((run) => run.recoverySeconds).sort((a, b) => a - b);
  return {
    fault: name,
    title,
    runs: runs.length,
    bit: ended.filter(({ evidence }) => evidence !== "").length,
    lost: sum((run) => run.lost),
    doubled: sum((run) => run.doubled),
    phantom: sum((run) => run.phantom),
    mutated: sum((run) => run.mutated),
    recoverySeconds: recovery[recovery.length >> 1] ?? null,
    recoverySecondsMax: recovery.at(-1) ?? null,
    records: sum((run) => run.records),
    failed: failed.length,
    excused: sum((run) => run.excused),
    skipped,
    faults: [
      ...ended
        .filter((run) => !isClean(run))
        .flatMap(({ run, seed, faults }) => faults.map((words) => `run ${run}, seed ${seed}: ${words}`)),
      ...failed.map(({ run, seed, failure }) => `run ${run}, seed ${seed}: ${failure}`),
    ],
  };
}

/** Whether the row shows that the promise held: "void" when its fault did not bite once. */
export function outcome(row: PageRow): "held" | "broken" | "void" | "skipped" {
  if (row.skipped !== "") return "skipped";
  if (row.failed > 0 || row.faults.length > 0) return "broken";
  if (row.lost + row.doubled + row.phantom + row.mutated > 0) return "broken";
  return row.bit > 0 ? "held" : "void";
}

/** The page as Markdown. */
export function page(heading: readonly string[], rows: readonly PageRow[]): string {
  const lines = [
    ...heading.map((line) => `- ${line}`),
    "",
    "| fault | runs | bit | lost | doubled | phantom | mutated | recovery s (median, longest) |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
    ...rows.map((row) => {
      if (row.skipped !== "") return `| ${row.title} | skipped: ${row.skipped} | | | | | | |`;
      const name = `${row.title} \`${row.fault}\``;
      const { runs, bit, lost, doubled, phantom, mutated, recoverySeconds, recoverySecondsMax } = row;
      const recovery =
        recoverySeconds === null ? "never" : `${seconds(recoverySeconds)}, ${seconds(recoverySecondsMax)}`;
      return `| ${[name, runs, bit, lost, doubled, phantom, mutated, recovery].join(" | ")} |`;
    }),
    "",
    summary(rows),
  ];
  const wrong = rows.flatMap((row) => row.faults.slice(0, 5).map((words) => `- ${row.fault}: ${words}`));
  return [...lines, ...(wrong.length > 0 ? ["", ...wrong] : [])].join("\n");
}

function summary(rows: readonly PageRow[]): string {
  const total = (of: (row: PageRow) => number) =>
    rows.reduce((sum, row) => sum + of(row), 0).toLocaleString("en-US");
  const excused = rows.filter((row) => row.excused > 0).map(({ fault, excused }) => `${excused} in ${fault}`);
  const gone = excused.length > 0 ? ` Gone with Redis's memory, and reported: ${excused.join(", ")}.` : "";
  return (
    `${total((row) => row.runs)} runs, ${total((row) => row.bit)} of them with proof that the fault bit; ` +
    `${total((row) => row.records)} acknowledged records judged.${gone}`
  );
}

function seconds(value: number | null): string {
  return (value ?? 0).toFixed(1);
}
