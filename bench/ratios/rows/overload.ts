import { endToEnd } from "#bench/path/measure.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";
import { residentMiB } from "#bench/ratios/resident-memory.ts";
import type { Row } from "#bench/ratios/row.ts";

const recordsPerBatch = 100;

/** What the closed loop reaches is saturation; then twice that falls due, whatever is answered. */
export const overloadRow: Row = {
  title: "Twice as much offered as can be stored (open loop) ÷ saturation; memory of the servers (MiB)",
  unit: "records/s",
  measure: [
    async (bench) => {
      const system = await bench.system({ consumer: true });
      const load = await bench.load(recordsPerBatch);
      const size = { batches: bench.batches(recordsPerBatch), recordsPerBatch };
      const saturation = await endToEnd(system, load, size);
      const memoryBefore = await serverMemory(bench);
      const batchesPerSecond = (2 * saturation.recordsPerSecond) / recordsPerBatch;
      // Twice as many, so that it is offered for as long as saturation lasted.
      const overload = await endToEnd(
        system,
        load,
        { ...size, batches: 2 * size.batches },
        { batchesPerSecond },
      );
      return {
        saturation: { value: saturation.recordsPerSecond, cpu: saturation.cpuMicrosPerRecord },
        "2 × overload": { value: overload.recordsPerSecond, cpu: overload.cpuMicrosPerRecord },
        "memory after saturation": { value: memoryBefore },
        "memory after overload": { value: await serverMemory(bench) },
      };
    },
  ],
  ratios: [
    { of: "2 × overload", over: "saturation", atLeast: 0.95 },
    { of: "memory after overload", over: "memory after saturation", atMost: 1.25 },
  ],
};

async function serverMemory(bench: RatioBench): Promise<number> {
  const { system } = await bench.system({ consumer: true });
  const each = await Promise.all(system.servers.map(({ pid }) => residentMiB(pid)));
  return each.reduce((sum, mebibytes) => sum + mebibytes, 0);
}
