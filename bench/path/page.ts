import { spawnSync } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { type PerPart, parts } from "#bench/path/bench-system.ts";
import type { Size } from "#bench/path/measure.ts";
import { median } from "#bench/path/statistics.ts";

/** One value per round. */
export interface Samples {
  /** Records per second. */
  readonly endToEnd: number[];
  readonly cpuMicrosPerRecord: PerPart[];
  readonly copy: number[];
  readonly conventionalCopy: number[];
  readonly drain: number[];
  /** Batches per second. */
  readonly streamed: number[];
  readonly streamedWithoutAppend: number[];
  readonly streamedEcho: number[];
  readonly unary: number[];
  readonly unaryWithoutAppend: number[];
  readonly unaryEcho: number[];
}

/** The ratios of medians, under the names that `--json` prints. */
function computeRatios(samples: Samples) {
  return {
    endToEndOverCopy: ratio(samples.endToEnd, samples.copy),
    endToEndOverConventionalCopy: ratio(samples.endToEnd, samples.conventionalCopy),
    drainOverCopy: ratio(samples.drain, samples.copy),
    streamOverHttp2: ratio(samples.streamed, samples.streamedEcho),
    unaryOverHttp2: ratio(samples.unary, samples.unaryEcho),
    streamFaceOverHttp2: ratio(samples.streamedWithoutAppend, samples.streamedEcho),
    unaryFaceOverHttp2: ratio(samples.unaryWithoutAppend, samples.unaryEcho),
  };
}

function readCpu(samples: Samples): PerPart {
  const medians = parts.map((part) => [part, median(samples.cpuMicrosPerRecord.map((round) => round[part]))]);
  return Object.fromEntries(medians) as PerPart;
}

/** One object; ratios to three digits, µs to two. */
export function toJson(samples: Samples): string {
  return JSON.stringify({
    ...rounded(computeRatios(samples), 3),
    cpuMicrosPerRecord: rounded({ ...readCpu(samples) }, 2),
  });
}

/** The page in Markdown: machine, versions, commit, command, then the figures. */
export function formatPage(
  samples: Samples,
  { rounds, batches, recordsPerBatch }: Size & { rounds: number },
): string {
  const ratios = computeRatios(samples);
  const cpu = readCpu(samples);
  return `# The path of a batch, measured

${cpus().length} × ${cpus()[0]?.model ?? "unknown processor"}, ${Math.round(totalmem() / 2 ** 30)} GiB; Node ${process.version}; commit ${commit()}.
\`npm run bench:path -- --rounds ${rounds} --batches ${batches}\`: batches of ${recordsPerBatch} records, medians of ${rounds} rounds; everything,
the load included, on this one machine.

| records/s | median | min – max | ratio |
|---|---:|---:|---|
${row("end to end: stream → Nginx → server → Redis → consumer → committed", samples.endToEnd)}
${row("one COPY BINARY of the same records into our table", samples.copy, `end to end is ${ratios.endToEndOverCopy.toFixed(2)} of it`)}
${row("the same into the conventional table", samples.conventionalCopy, `end to end is ${ratios.endToEndOverConventionalCopy.toFixed(2)} of it`)}
${row("consumer draining a full stream", samples.drain, `${ratios.drainOverCopy.toFixed(2)} of the COPY into our table`)}

| batches/s to one server, no Nginx, no consumer | median | min – max | ratio |
|---|---:|---:|---|
${row("StreamLogs, appended to Redis with fsync", samples.streamed, `${ratios.streamOverHttp2.toFixed(2)} of the echo`)}
${row("StreamLogs, all but the append", samples.streamedWithoutAppend, `${ratios.streamFaceOverHttp2.toFixed(2)} of the echo`)}
${row("bare node:http2, streamed echo of the same bytes", samples.streamedEcho)}
${row("PushLogs, appended to Redis with fsync", samples.unary, `${ratios.unaryOverHttp2.toFixed(2)} of the echo`)}
${row("PushLogs, all but the append", samples.unaryWithoutAppend, `${ratios.unaryFaceOverHttp2.toFixed(2)} of the echo`)}
${row("bare node:http2, unary echo of the same bytes", samples.unaryEcho)}

| CPU µs per record, end to end | ${parts.join(" | ")} | sum |
|---|${parts.map(() => "---:|").join("")}---:|
| | ${parts.map((part) => cpu[part].toFixed(2)).join(" | ")} | ${parts.reduce((sum, part) => sum + cpu[part], 0).toFixed(2)} |
`;
}

function ratio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours) / median(theirs);
}

function rounded(values: Readonly<Record<string, number>>, digits: number): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, Number(value.toFixed(digits))]),
  );
}

function row(title: string, values: readonly number[], remark = ""): string {
  return `| ${title} | ${whole(median(values))} | ${whole(Math.min(...values))} – ${whole(Math.max(...values))} | ${remark} |`;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function commit(): string {
  const { stdout } = spawnSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" });
  return stdout?.trim() || "unknown";
}
