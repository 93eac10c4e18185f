import { drain } from "#bench/path/measure.ts";
import type { Row } from "#bench/ratios/row.ts";
import { copyIntoOurs } from "#bench/ratios/rows/end-to-end.ts";

const recordsPerBatch = 100;

export const drainRow: Row = {
  title: "One consumer draining a full stream ÷ COPY of the same records",
  unit: "records/s",
  measure: [
    async (bench) => {
      const system = await bench.system({ consumer: true });
      const size = { batches: bench.batches(recordsPerBatch), recordsPerBatch };
      return { drain: { value: await drain(system, await bench.load(recordsPerBatch), size) } };
    },
    async (bench) => ({ "COPY into our table": { value: await copyIntoOurs(bench) } }),
  ],
  ratios: [{ of: "drain", over: "COPY into our table" }],
};
