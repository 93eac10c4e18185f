import { type BenchSystem, type PerPart, parts } from "#bench/path/bench-system.ts";
import { endToEnd } from "#bench/path/measure.ts";
import { familyMiB } from "#bench/ratios/resident-memory.ts";
import type { Readings, Row } from "#bench/ratios/row.ts";

const recordsPerBatch = 100;

/** Each offers for as long as saturation lasted. */
const overloads = [2, 3];

/** The rate of the closed loop is saturation; then a multiple of it falls due, whatever is acknowledged. */
export const overloadRow: Row = {
  title: "More offered than can be stored (open loop) ÷ saturation; memory of each part (MiB) after each",
  unit: "records/s",
  measure: [
    async (bench) => {
      const system = await bench.system({ consumer: true });
      const load = await bench.load(recordsPerBatch);
      const size = { batches: bench.batches(recordsPerBatch), recordsPerBatch };
      const saturation = await endToEnd(system, load, size);
      const readings: Record<string, Readings[string]> = {
        saturation: { value: saturation.recordsPerSecond, cpu: saturation.cpuMicrosPerRecord },
        ...(await memory(system, "saturation")),
      };
      for (const times of overloads) {
        const batchesPerSecond = (times * saturation.recordsPerSecond) / recordsPerBatch;
        const offered = { ...size, batches: times * size.batches };
        const overload = await endToEnd(system, load, offered, { batchesPerSecond });
        readings[`${times} × overload`] = {
          value: overload.recordsPerSecond,
          cpu: overload.cpuMicrosPerRecord,
        };
        Object.assign(readings, await memory(system, `${times} × overload`));
      }
      return readings;
    },
  ],
  ratios: [
    { of: "2 × overload", over: "saturation", atLeast: 0.95 },
    { of: "3 × overload", over: "saturation", atLeast: 0.8 },
    ...(["server", "nginx", "consumer"] as const).map((part) => ({
      of: memoryOf(part, "3 × overload"),
      over: memoryOf(part, "saturation"),
      atMost: 1.25,
    })),
  ],
};

/** Redis and PostgreSQL are excluded: theirs grows with the stored data, as it must. */
async function memory({ system }: BenchSystem, after: string): Promise<Readings> {
  const pids: Record<keyof PerPart, readonly number[]> = {
    server: system.servers.map(({ pid }) => pid),
    nginx: [system.nginx.pid],
    redis: [system.redis.pid],
    consumer: [system.consumer.pid],
    postgres: system.postgres ? [system.postgres.pid] : [],
  };
  const readings = parts.map(async (part) => {
    const each = await Promise.all(pids[part].map(familyMiB));
    return [memoryOf(part, after), { value: each.reduce((sum, mebibytes) => sum + mebibytes, 0) }] as const;
  });
  return Object.fromEntries(await Promise.all(readings));
}

function memoryOf(part: keyof PerPart, after: string): string {
  return `memory of ${part} after ${after}`;
}
