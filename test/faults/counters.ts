import type { Fixture } from "./fixture.ts";

/** The counters of every program that answers, by process: a program that starts again begins at 0. */
export type Counters = ReadonlyMap<number, ReadonlyMap<string, number>>;

/** Reads the metrics of every server and consumer; skips one that does not respond within 2 s. */
export async function readCounters({ system }: Fixture): Promise<Counters> {
  const programs = [...system.servers, ...system.consumers];
  const read = await Promise.all(
    programs.map(async ({ pid, addresses }) => [pid, await scrape(addresses.admin ?? "")] as const),
  );
  return new Map(read);
}

/**
 * By how much a counter grew, over all programs and over all its labels that match: never more than it really did,
 * since what a process counted before it was killed is not known.
 */
export function growth(before: Counters, after: Counters, name: string, labels = ""): number {
  let sum = 0;
  for (const [pid, samples] of after) {
    for (const [sample, value] of samples) {
      if (!sample.startsWith(`${name}{`) || !sample.includes(labels)) continue;
      sum += value - (before.get(pid)?.get(sample) ?? 0);
    }
  }
  return sum;
}

async function scrape(admin: string): Promise<ReadonlyMap<string, number>> {
  try {
    const response = await fetch(`http://${admin}/metrics`, { signal: AbortSignal.timeout(2_000) });
    const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line) => {
        const space = line.lastIndexOf(" ");
        const sample = line.slice(0, space);
        return [sample.includes("{") ? sample : `${sample}{}`, Number(line.slice(space + 1))];
      }),
    );
  } catch {
    return new Map(); // the program is not there just now
  }
}
