import { endToEnd } from "#bench/path/measure.ts";
import type { Row } from "#bench/ratios/row.ts";

const sizes = [1, 10, 100];

export const smallBatchesRow: Row = {
  title: "End to end with small batches ÷ batches of 100",
  unit: "records/s",
  measure: sizes.map((recordsPerBatch) => async (bench) => {
    const system = await bench.system({ consumer: true });
    const size = { batches: bench.batches(recordsPerBatch), recordsPerBatch };
    const { recordsPerSecond, cpuMicrosPerRecord } = await endToEnd(
      system,
      await bench.load(recordsPerBatch),
      size,
    );
    return { [`${recordsPerBatch} a batch`]: { value: recordsPerSecond, cpu: cpuMicrosPerRecord } };
  }),
  ratios: [
    { of: "1 a batch", over: "100 a batch" },
    { of: "10 a batch", over: "100 a batch" },
  ],
};
