import { conventionalRows, conventionalTable, ourRows, timeCopy } from "#bench/path/copy-baseline.ts";
import { endToEnd, fleet } from "#bench/path/measure.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";
import type { Row } from "#bench/ratios/row.ts";

const recordsPerBatch = 100;

export const endToEndRow: Row = {
  title: "End to end (stream → Nginx → server → Redis → consumer → committed) ÷ COPY of the same records",
  unit: "records/s",
  measure: [
    async (bench) => {
      const system = await bench.system({ consumer: true });
      const size = { batches: bench.batches(recordsPerBatch), recordsPerBatch };
      const { recordsPerSecond, cpuMicrosPerRecord } = await endToEnd(
        system,
        await bench.load(recordsPerBatch),
        size,
      );
      // µs per record are seconds per million records.
      return { "end to end": { value: recordsPerSecond, cpu: cpuMicrosPerRecord } };
    },
    async (bench) => ({ "COPY into our table": { value: await copyIntoOurs(bench) } }),
    async (bench) => {
      const { baseline } = await bench.system({ consumer: true });
      const load = conventionalRows(bench.pool(recordsPerBatch), fleet.streams * fleet.devicesPerStream);
      await baseline.query(`drop table if exists conventional; ${conventionalTable}`);
      return {
        "COPY into the conventional table": { value: await timeCopy(baseline, "conventional", load) },
      };
    },
  ],
  ratios: [
    { of: "end to end", over: "COPY into our table" },
    { of: "end to end", over: "COPY into the conventional table", atLeast: 1.5 },
  ],
};

/** Records per second of one COPY into the table `record_batches` of the database beside the system's. */
export async function copyIntoOurs(bench: RatioBench): Promise<number> {
  const { baseline } = await bench.system({ consumer: true });
  return timeCopy(baseline, "record_batches", ourRows(bench.pool(recordsPerBatch)));
}
