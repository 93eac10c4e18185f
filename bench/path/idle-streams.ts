import { once } from "node:events";
import { connect, constants } from "node:http2";
import { createBatchPool, encodeBatch } from "#bench/path/batch-pool.ts";
import { frame } from "#bench/path/grpc-frame.ts";

/**
 * Idle devices: streams, each on its own connection as behind Nginx, that had one batch acknowledged and
 * then stay silent. Forked by the benchmark; reports to the parent when all are open.
 */
const [target = "", count = "0"] = process.argv.slice(2);
const [records = Buffer.alloc(0)] = createBatchPool(1, 10);
process.on("disconnect", () => process.exit(0));

const atOnce = 50;
const all = Array.from({ length: Number(count) }, (_, index) => index);
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (let index = all.pop(); index !== undefined; index = all.pop()) await openStream(index);
  }),
);
process.send?.(count);

async function openStream(index: number): Promise<void> {
  const session = connect(`http://${target}`);
  session.on("error", fail);
  const call = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: "/fleetlog.v1.IngestService/StreamLogs",
    [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
    [constants.HTTP2_HEADER_TE]: "trailers",
  });
  call.on("error", fail);
  call.on("close", () => fail(new Error("a stream was ended")));
  call.write(frame(encodeBatch(`idle-${index}`, `idle-${process.pid}`, 1n, records)));
  await once(call, "data");
}

function fail(error: Error): void {
  process.stderr.write(`idle streams: ${error.message}\n`);
  process.exit(1);
}
