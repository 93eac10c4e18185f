import { machineLine } from "#bench/machine.ts";
import { parts } from "#bench/path/bench-system.ts";
import type { MeasuredRow } from "#bench/ratios/measure-row.ts";

/** The page in Markdown: the targets first, then every value. */
export function ratiosPage(
  rows: readonly MeasuredRow[],
  { rounds, command }: { readonly rounds: number; readonly command: string },
): string {
  const wanted = rows.flatMap(({ name, ratios }) =>
    ratios
      .filter(({ reached }) => reached !== undefined)
      .map(
        ({ of, over, value, atLeast, atMost, reached }) =>
          `| ${name} | ${over === undefined ? of : `${of} ÷ ${over}`} | ${value.toFixed(2)} | ${atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`} | ${reached ? "yes" : "no"} |`,
      ),
  );
  return `# Ratios

${machineLine()}.
\`${command}\`: medians of ${rounds} rounds, measured in turn (A B B A). The load, the system and what it is compared
with share the cores of this one machine, so a ratio says more than its rates.
${
  wanted.length === 0
    ? ""
    : `
| row | ratio | measured | wanted | reached |
|---|---|---:|---:|---|
${wanted.join("\n")}
`
}${rows.map(section).join("")}`;
}

function section({ name, title, unit, values, ratios }: MeasuredRow): string {
  const lines = values.map(({ name, median, min, max }) => {
    const own = ratios
      .filter(({ of, over }) => of === name && over !== undefined)
      .map(({ over, value }) => `${value.toFixed(2)} of ${over}`);
    return `| ${name} | ${number(median)} | ${number(min)} – ${number(max)} | ${own.join("; ")} |`;
  });
  const cpu = values.flatMap(({ name, cpu }) =>
    cpu
      ? `| ${name} | ${parts.map((part) => cpu[part].toFixed(2)).join(" | ")} | ${parts.reduce((sum, part) => sum + cpu[part], 0).toFixed(2)} |`
      : [],
  );
  return `
## ${name}: ${title}

| ${unit} | median | min – max | ratio |
|---|---:|---:|---|
${lines.join("\n")}
${
  cpu.length === 0
    ? ""
    : `
| CPU seconds per million records | ${parts.join(" | ")} | sum |
|---|${"---:|".repeat(parts.length + 1)}
${cpu.join("\n")}
`
}`;
}

function number(value: number): string {
  if (Math.abs(value) < 100) return value.toPrecision(3);
  return Math.round(value).toLocaleString("en-US");
}
