import { fromBinary } from "@bufbuild/protobuf";
import { copyBytesMax } from "#batch/copy-format.ts";
import { CopyRows } from "#batch/copy-rows.ts";
import { scan } from "#batch/scan.ts";
import { encodeBatch } from "#bench/path/batch-pool.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";
import type { Readings, Row } from "#bench/ratios/row.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";

const recordsPerBatch = 100;

/** All in this process, on one core. */
export const codecRow: Row = {
  title: "Reading batches of 100: scan, scan and transcode ÷ decoding with protobuf-es, ÷ Buffer.copy",
  unit: "MB/s",
  measure: [
    (bench) => rate(bench, "scan", (batch) => scan(batch)),
    (bench) => {
      const rows = new CopyRows(copyBytesMax(1 << 22, 40_000));
      return rate(bench, "scan and transcode", (batch, index) => {
        if (index % 100 === 0) rows.clear();
        rows.append(scan(batch), BigInt(index), { receivedAtMicros: 1_800_000_000_000_000 });
      });
    },
    (bench) => rate(bench, "protobuf-es", (batch) => fromBinary(LogBatchSchema, batch)),
    (bench) => {
      const target = Buffer.alloc(1 << 20);
      return rate(bench, "Buffer.copy", (batch) => batch.copy(target));
    },
  ],
  ratios: [
    { of: "scan", over: "protobuf-es" },
    { of: "scan and transcode", over: "protobuf-es" },
    { of: "scan", over: "Buffer.copy" },
    { of: "scan and transcode", over: "Buffer.copy" },
  ],
};

async function rate(
  bench: RatioBench,
  name: string,
  work: (batch: Buffer, index: number) => void,
): Promise<Readings> {
  const batches = bench
    .pool(recordsPerBatch)
    .map((records, index) => encodeBatch("bench", "bench", BigInt(index + 1), records));
  const bytes = batches.reduce((sum, batch) => sum + batch.length, 0);
  for (const [index, batch] of batches.entries()) work(batch, index); // compiled by now
  const startedAt = performance.now();
  for (const [index, batch] of batches.entries()) work(batch, index);
  return { [name]: { value: bytes / 1e3 / (performance.now() - startedAt) } };
}
