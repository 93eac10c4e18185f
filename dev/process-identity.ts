import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * Identifies one process forever: its pid may be reused later, but not with the same start time.
 * `undefined` when no such process runs.
 */
export function processIdentity(pid: number): string | undefined {
  if (process.platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return state === "Z" ? undefined : `${pid} ${rest[18]}`;
    } catch {
      return undefined; // no such process
    }
  }
  const startedAt = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], {
    encoding: "utf8",
  }).stdout?.trim();
  return startedAt ? `${pid} ${startedAt}` : undefined;
}
