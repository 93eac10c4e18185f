import { once } from "node:events";
import type { PoolClient } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { copyStatement } from "#batch/copy-format.ts";
import type { CopyRows } from "#batch/copy-rows.ts";

/** Small enough that PostgreSQL parses one piece while the next is being sent. */
const pieceBytes = 256 << 10;

/** Sends the rows over a connection that is within a transaction. The rows must not change until this is done. */
export async function copyRecords(client: PoolClient, rows: CopyRows): Promise<void> {
  if (rows.rowCount === 0) return;
  const bytes = rows.finish();
  const stream = client.query(copyFrom(copyStatement));
  // After a timeout the driver fails the stream once more, when the connection ends; `once` below hears the first only.
  stream.on("error", () => {});
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    stream.write(bytes.subarray(start, start + pieceBytes));
  }
  stream.end();
  await once(stream, "finish");
  if (stream.rowCount !== rows.rowCount) {
    throw new Error(`copy: ${rows.rowCount} rows sent, PostgreSQL counted ${stream.rowCount}`);
  }
}
