import { readdirSync, readFileSync } from "node:fs";

/** The children of a process, from /proc. */
export function findChildren(pid: number): readonly number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      return parent === pid ? [Number(name)] : [];
    } catch {
      return []; // it ended meanwhile
    }
  });
}

/** A process and all below it. */
export function findTree(pid: number): readonly number[] {
  return [pid, ...findChildren(pid).flatMap(findTree)];
}

/** Sends a signal to each that still runs; returns how many did. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): number {
  return pids.filter((pid) => {
    try {
      return process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // ESRCH: gone meanwhile
      return false;
    }
  }).length;
}
