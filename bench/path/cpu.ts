import { readdir, readFile } from "node:fs/promises";

/** Linux counts a process's CPU time in ticks of 1/100 s (`getconf CLK_TCK`). */
const ticksPerSecond = 100;

/** CPU seconds so far of a process, of its children that it has reaped, and of all processes that descend from it. */
export async function cpuSeconds(pid: number): Promise<number> {
  const processes = new Map<number, { parent: number; ticks: number }>();
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => undefined);
    if (stat === undefined) continue; // It ended since the folder was read.
    const fields = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [, parent = 0] = fields;
    const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
    processes.set(Number(name), { parent, ticks });
  }
  let total = 0;
  const family = [pid];
  for (let member = family.pop(); member !== undefined; member = family.pop()) {
    total += processes.get(member)?.ticks ?? 0;
    for (const [child, { parent }] of processes) if (parent === member) family.push(child);
  }
  return total / ticksPerSecond;
}
