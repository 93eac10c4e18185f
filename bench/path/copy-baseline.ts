import { once } from "node:events";
import type { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { batchRecords, decodeRecord } from "#batch/batch-records.ts";
import { copyBytesMax, copyHeader, copyStatement, copyTrailer } from "#batch/copy-format.ts";
import { CopyRows } from "#batch/copy-rows.ts";
import { scan } from "#batch/scan.ts";
import { Timestamp } from "#batch/timestamp.ts";
import { type BatchPool, encodeBatch } from "#bench/path/batch-pool.ts";

/** The data of one COPY: the rows are encoded before the clock runs. */
export interface CopyLoad {
  readonly statement: string;
  readonly bytes: Buffer;
  readonly rows: number;
}

/** The records of the whole pool as rows of our table, received now. */
export function ourRows(pool: BatchPool): CopyLoad {
  const receivedAtMs = Date.now();
  const rows = new CopyRows(
    copyBytesMax(
      pool.reduce((sum, batch) => sum + batch.length, 0),
      1_000_000,
    ),
  );
  for (const [index, records] of pool.entries()) {
    const batch = scan(encodeBatch("bench", "bench", BigInt(index + 1), records));
    rows.append(batch, (BigInt(receivedAtMs) << 20n) | BigInt(index), {
      receivedAtMicros: receivedAtMs * 1_000,
    });
  }
  return { statement: copyStatement, bytes: Buffer.from(rows.finish()), rows: rows.recordCount };
}

/** The conventional table: every row, and the index, repeats whose record it is. */
export const conventionalTable = `
  create table conventional (
    id bigint not null,
    device_id text not null,
    session_id text not null,
    time timestamptz not null,
    severity smallint not null,
    logger text not null,
    message text not null,
    attributes jsonb
  );
  create index on conventional (device_id, time, id);
  create index on conventional using brin (time);`;

/**
 * The same records as rows of the conventional table. Batch n of the pool comes from device n mod `devices`, as in the
 * load; device and session have the lengths of real ones (12 and 36 characters).
 */
export function conventionalRows(pool: BatchPool, devices: number): CopyLoad {
  const owners = Array.from({ length: devices }, (_, device) => {
    const name = `device-${String(device).padStart(5, "0")}`;
    return Buffer.concat([text(name), text(`6f1c0e5e-3d35-4a6e-9d0a-${name}`)]);
  });
  const pieces: Buffer[] = [copyHeader];
  const time = new Timestamp();
  const numbers = Buffer.alloc(4 + 8 + 4 + 2);
  const view = new DataView(numbers.buffer, numbers.byteOffset);
  let rows = 0;
  for (const [index, records] of pool.entries()) {
    const batch = scan(encodeBatch("bench", "bench", BigInt(index + 1), records));
    for (const { fields } of batchRecords(batch)) {
      rows += 1;
      const id = Buffer.alloc(2 + 4 + 8);
      id.writeInt16BE(8);
      id.writeInt32BE(8, 2);
      id.writeBigInt64BE(BigInt(rows), 6);
      time.setNanos(fields.timeHigh, fields.timeLow);
      view.setInt32(0, 8);
      time.write(view, 4);
      view.setInt32(12, 2);
      view.setInt16(16, fields.severity);
      const { attributes } = decodeRecord(batch.bytes, fields);
      pieces.push(
        id,
        owners[index % devices] as Buffer,
        Buffer.from(numbers),
        text(batch.bytes.toString("utf8", fields.loggerStart, fields.loggerEnd)),
        text(batch.bytes.toString("utf8", fields.messageStart, fields.messageEnd)),
        // jsonb on the wire: the version, 1, and the JSON text.
        fields.attributes.count === 0 ? noValue : text(`\u0001${JSON.stringify(attributes)}`),
      );
    }
  }
  pieces.push(copyTrailer);
  return { statement: "COPY conventional FROM STDIN (FORMAT binary)", bytes: Buffer.concat(pieces), rows };
}

const noValue = Buffer.from([0xff, 0xff, 0xff, 0xff]);

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Runs one COPY, in a transaction of its own, into the emptied `table`; rows per second. */
export async function timeCopy(client: Client, table: string, load: CopyLoad): Promise<number> {
  await client.query(`truncate ${table}`);
  await client.query("checkpoint");
  const startedAt = performance.now();
  const copy = client.query(copyFrom(load.statement));
  const finished = once(copy, "finish");
  for (let at = 0; at < load.bytes.length; at += chunkBytes) {
    if (!copy.write(load.bytes.subarray(at, at + chunkBytes))) await once(copy, "drain");
  }
  copy.end();
  await finished;
  return load.rows / ((performance.now() - startedAt) / 1_000);
}

const chunkBytes = 64 * 1024;
