import { readFile } from "node:fs/promises";

/** Resident memory of a process, in MiB. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
}

/** Resident memory of a process and its descendants, with shared pages counted once, in MiB. */
export async function familyMiB(pid: number): Promise<number> {
  const smaps = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => ""); // it has just ended
  const own = Number(/^Pss:\s+(\d+) kB/m.exec(smaps)?.[1] ?? 0) / 1_024;
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const each = await Promise.all(children.split(" ").filter(Boolean).map(Number).map(familyMiB));
  return each.reduce((sum, mebibytes) => sum + mebibytes, own);
}
