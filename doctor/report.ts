import type { Finding } from "./finding.ts";

/** 1 when something fails; warnings are no reason to stop a script. */
export function toExitCode(findings: readonly Finding[]): 0 | 1 {
  return findings.some(({ state }) => state === "fail") ? 1 : 0;
}

/** Text output: a line per finding, with its fix below. */
export function textReport(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, state, found, fix }) => [
    `${marks[state]} ${state.padEnd(4)}  ${check.padEnd(width)}  ${found}`,
    ...(fix ? [`${" ".repeat(8)}${fix}`] : []),
  ]);
  const count = (wanted: Finding["state"]) => findings.filter(({ state }) => state === wanted).length;
  return [...lines, "", `${count("ok")} ok, ${count("warn")} warnings, ${count("fail")} failures`, ""].join(
    "\n",
  );
}

/** For programs. */
export function jsonReport(findings: readonly Finding[]): string {
  return `${JSON.stringify({ ok: toExitCode(findings) === 0, findings }, undefined, 2)}\n`;
}

const marks: Readonly<Record<Finding["state"], string>> = { ok: "✓", warn: "!", fail: "✗" };
