import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { copyBytesMax, copyStatement } from "#batch/copy-format.ts";
import { CopyRows } from "#batch/copy-rows.ts";
import { digest } from "#batch/digest.ts";
import { scan } from "#batch/scan.ts";
import { encodeBatch } from "#bench/path/batch-pool.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";
import type { Readings, Row } from "#bench/ratios/row.ts";

const recordsPerBatch = 100;
const batchesPerFlush = 200;
const constraint = "batches_device_key_session_id_sequence_digest_key";

/**
 * What it costs that a batch is stored once: a digest of its bytes, a unique index, and a look into it. Both variants store
 * the same flushes (ledger and COPY in one transaction, as the consumer does), one without these three.
 */
export const dedupeTaxRow: Row = {
  title: "Flushes with digest, unique ledger and ON CONFLICT ÷ the same without",
  unit: "records/s",
  measure: [
    (bench) => storeAll(bench, "recognising doubles", true),
    (bench) => storeAll(bench, "not recognising them", false),
  ],
  ratios: [{ of: "recognising doubles", over: "not recognising them", atLeast: 0.97 }],
};

async function storeAll(bench: RatioBench, name: string, recognise: boolean): Promise<Readings> {
  const { baseline } = await bench.system({ consumer: true });
  await baseline.query("truncate record_batches, batches");
  await baseline.query(`alter table batches drop constraint if exists ${constraint}`);
  if (recognise) {
    await baseline.query(
      `alter table batches add constraint ${constraint} unique (device_key, session_id, sequence, digest)`,
    );
  }
  await baseline.query("checkpoint");
  const session = randomUUID();
  const batches = bench
    .pool(recordsPerBatch)
    .map((records, index) => scan(encodeBatch(`device-${index % 96}`, session, BigInt(index + 1), records)));
  const receivedAtMs = Date.now();
  const noDigest = Buffer.alloc(16);
  const startedAt = performance.now();
  for (let from = 0; from < batches.length; from += batchesPerFlush) {
    const flush = batches.slice(from, from + batchesPerFlush);
    const ids = flush.map((_, index) => (BigInt(receivedAtMs) << 20n) | BigInt(from + index));
    await baseline.query("begin");
    await baseline.query(recognise ? `${ledgerSql} on conflict do nothing` : ledgerSql, [
      ids,
      flush.map((_, index) => (from + index) % 96),
      flush.map(() => session),
      flush.map(({ sequence }) => sequence),
      flush.map((batch) => (recognise ? digest(batch) : noDigest)),
      flush.map(({ bytes }) => bytes.length),
    ]);
    const size = flush.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const rows = new CopyRows(copyBytesMax(size, flush.length * recordsPerBatch));
    for (const [index, batch] of flush.entries())
      rows.append(batch, ids[index] as bigint, { receivedAtMicros: receivedAtMs * 1_000 });
    await copy(baseline, rows.finish());
    await baseline.query("commit");
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  return { [name]: { value: (batches.length * recordsPerBatch) / seconds } };
}

const ledgerSql = `
  insert into batches (
    id, device_key, session_id, sequence, digest, bytes,
    received_at, first_time, last_time, record_count, rejected_count, severities
  )
  select *, now(), now(), now(), ${recordsPerBatch}, 0, 0
  from unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::bytea[], $6::int[])`;

async function copy(client: Client, rows: Uint8Array): Promise<void> {
  const stream = client.query(copyFrom(copyStatement));
  const finished = once(stream, "finish");
  stream.end(Buffer.from(rows));
  await finished;
}
