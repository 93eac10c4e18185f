import { lineChart, type Series, secondTicks } from "#bench/simulate/chart.ts";
import { ms, number } from "#bench/simulate/progress.ts";
import type { Report } from "#bench/simulate/report.ts";
import type { Point } from "#bench/simulate/tally.ts";
import { toVerification } from "#bench/stored/verify.ts";

/** report.html: one file, no script, nothing to fetch. */
export function reportPage(report: Report): string {
  const { batches, records, verification, errors, options } = report;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Simulated fleet ${text(report.run)}</title><style>${style}</style></head><body><main>
<h1>A simulated fleet of ${number(options.devices)} devices</h1>
<p>${text(report.at)} · <code>${text(report.command)}</code><br>${text(report.machine)}</p>
<p class="${verification.ok ? "good" : "bad"}">${text(toVerification(verification))}</p>
${verification.faults.length > 0 ? `<ul>${verification.faults.map((fault) => `<li>${text(fault)}</li>`).join("")}</ul>` : ""}
${table(
  ["records sent", "acknowledged", "per second", "ack p50", "p95", "p99", "max"],
  [
    [
      number(records.sent),
      number(records.acknowledged),
      number(report.acknowledgedPerSecond),
      ms(report.latency.p50),
      ms(report.latency.p95),
      ms(report.latency.p99),
      ms(report.latency.max),
    ],
  ],
)}
${charts(report)}
<h2>Batches</h2>
${table(
  ["due", "acknowledged", "refused", "lost in devices", "without an ack", "reconnects", "boots"],
  [
    [
      batches.due,
      batches.acknowledged,
      batches.refused,
      batches.lostInDevice,
      batches.unacknowledged,
      report.reconnects,
      report.boots,
    ].map(number),
  ],
)}
<h2>Errors</h2>
${
  errors.length === 0
    ? "<p>None.</p>"
    : table(
        ["count", "kind (numbers replaced by N)"],
        errors.map(({ kind, count }) => [number(count), text(kind)]),
      )
}
<h2>How to read this</h2>
<p>Open loop: a batch falls due by the clock of its device, whatever becomes of those before it, and its latency counts
from that moment until its acknowledgement has arrived. The simulator itself was late by ${ms(report.lateness.p50)} at p50 and
${ms(report.lateness.p99)} at p99, which is part of every latency here. It runs on the same machine as whatever else runs there.</p>
<details><summary>Options</summary><pre>${text(JSON.stringify(options, undefined, 2))}</pre></details>
</main></body></html>
`;
}

function charts(report: Report): string {
  const x = secondTicks(report.seconds);
  const line = (name: string, color: string, value: (point: Point) => number | undefined): Series => ({
    name,
    color,
    points: report.points.map((point) => [point.seconds, value(point)] as const),
  });
  const nines = report.distribution.map(([percentile, value]) => {
    const left = Math.max(1 - percentile / 100, 1e-5);
    return [-Math.log10(left), value, percentile] as const;
  });
  const marks = [0, 50, 90, 99, 99.9, 99.99];
  return [
    lineChart(
      "records per second",
      [
        line("sent", "a", (point) => perSecond(point.sentRecords, point)),
        line("acknowledged", "b", (point) => perSecond(point.acknowledgedRecords, point)),
      ],
      { x, format: number },
    ),
    lineChart(
      "latency of acknowledgements, by second",
      [
        line("p50", "b", ({ latency }) => (latency.count > 0 ? latency.p50 : undefined)),
        line("p95", "a", ({ latency }) => (latency.count > 0 ? latency.p95 : undefined)),
        line("p99", "c", ({ latency }) => (latency.count > 0 ? latency.p99 : undefined)),
      ],
      { x, format: ms },
    ),
    lineChart(
      "latency by percentile, whole run",
      [{ name: "latency", color: "c", points: nines.map(([at, value]) => [at, value] as const) }],
      {
        x: marks.map((mark) => ({ at: -Math.log10(1 - mark / 100), label: `${mark} %` })),
        format: ms,
      },
    ),
    lineChart(
      "backlog",
      [
        line("batches without an answer", "a", (point) => point.waitingBatches),
        line("records acknowledged, not stored yet", "c", (point) => point.notStoredRecords),
      ],
      { x, format: number },
    ),
    lineChart("errors per second", [line("errors", "c", (point) => perSecond(point.errors, point))], {
      x,
      format: number,
    }),
  ].join("\n");
}

function perSecond(count: number, { elapsedSeconds }: Point): number | undefined {
  return elapsedSeconds > 0.2 ? count / elapsedSeconds : undefined;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return `<table>${tableRow(head, "th")}${rows.map((cells) => tableRow(cells, "td")).join("")}</table>`;
}

function tableRow(cells: readonly string[], tag: string): string {
  return `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
}

function text(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

const style = `
:root{color-scheme:light dark;--a:#3b82c4;--b:#2e9e6b;--c:#d0682c;--soft:#8884;--text:light-dark(#222,#ddd)}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem 1rem;color:var(--text);background:light-dark(#fff,#181a1d)}
main{max-width:760px;margin:auto}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
code,pre{font-size:.85em;overflow-wrap:anywhere}figure{margin:1.6rem 0}figcaption{font-weight:600}
svg{width:100%;height:auto}.grid{stroke:var(--soft)}.tick{font-size:11px;fill:var(--text);opacity:.75}
.series path{fill:none;stroke:var(--line);stroke-width:2}.series circle{fill:var(--line);opacity:0}.series circle:hover{opacity:1}
.legend span{font-weight:400;margin-left:1rem}.legend span::before{content:"";display:inline-block;width:.9em;height:3px;background:var(--line);margin-right:.4em;vertical-align:middle}
table{border-collapse:collapse}th,td{text-align:right;padding:.25rem .8rem .25rem 0}th{font-weight:400;opacity:.75}td:last-child,th:last-child{text-align:left}
.good,.bad{padding:.6rem .9rem;border-left:4px solid var(--b);background:#2e9e6b1a}.bad{border-color:#c0392b;background:#c0392b22}
`;
