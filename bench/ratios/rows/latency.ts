import { endToEnd, fleet } from "#bench/path/measure.ts";
import type { Row } from "#bench/ratios/row.ts";

const recordsPerBatch = 100;

export const latencyRow: Row = {
  title: "Acknowledgement at half the load of saturation, open loop, through Nginx with everything running",
  unit: "ms",
  measure: [
    async (bench) => {
      const system = await bench.system({ consumer: true });
      const load = await bench.load(recordsPerBatch);
      const size = { batches: bench.batches(recordsPerBatch), recordsPerBatch };
      const saturation = await endToEnd(system, load, size);
      const batchesPerSecond = saturation.recordsPerSecond / recordsPerBatch / 2;
      const { latency } = await endToEnd(system, load, size, { batchesPerSecond });
      const echo = await load.run({
        ...fleet,
        rpc: "StreamLogs",
        target: (await bench.peer("http2-echo.ts")).address,
        echo: true,
        batches: size.batches,
        batchesPerSecond,
      });
      return {
        p50: { value: latency?.p50 ?? Number.NaN },
        p99: { value: latency?.p99 ?? Number.NaN },
        "p50 of bare http2": { value: echo.latency?.p50 ?? Number.NaN },
        "p99 of bare http2": { value: echo.latency?.p99 ?? Number.NaN },
      };
    },
  ],
  ratios: [
    { of: "p50", over: "p50 of bare http2" },
    { of: "p99", over: "p99 of bare http2" },
  ],
};
