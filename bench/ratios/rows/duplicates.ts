import { randomUUID } from "node:crypto";
import { fleet } from "#bench/path/measure.ts";
import { emptyTables, storedRecords } from "#bench/path/stored.ts";
import { perMillion, type RatioBench } from "#bench/ratios/ratio-bench.ts";
import type { Reading, Row } from "#bench/ratios/row.ts";

const recordsPerBatch = 100;

/** A retry must not be dearer than the batch it repeats, or a fleet that comes back together is an overload. */
export const duplicatesRow: Row = {
  title: "Batches that are all stored already ÷ the same batches when they were new, end to end",
  unit: "records/s",
  measure: [
    async (bench) => {
      const session = randomUUID().slice(0, 8);
      const system = await bench.system({ consumer: true });
      await emptyTables(system.client);
      const fresh = await sendAll(bench, session);
      const stored = await storedRecords(system.client);
      const duplicates = await sendAll(bench, session);
      const more = (await storedRecords(system.client)) - stored;
      if (more !== 0) throw new Error(`${more} records were stored twice`);
      return { new: fresh, duplicates };
    },
  ],
  ratios: [{ of: "duplicates", over: "new", atLeast: 1 }],
};

/** Until the consumer has acknowledged everything. */
async function sendAll(bench: RatioBench, session: string): Promise<Reading> {
  const system = await bench.system({ consumer: true });
  const load = await bench.load(recordsPerBatch);
  const batches = bench.batches(recordsPerBatch);
  const before = await system.cpu();
  const startedAt = performance.now();
  const target = system.system.nginx.grpc;
  await load.run({ ...fleet, target, rpc: "StreamLogs", batches, session });
  await bench.untilDrained();
  const seconds = (performance.now() - startedAt) / 1_000;
  const records = batches * recordsPerBatch;
  return { value: records / seconds, cpu: perMillion(before, await system.cpu(), records) };
}
