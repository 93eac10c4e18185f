// Streams three batches with @grpc/grpc-js and prints what becomes of each.
// `npx node` is the Node 24 that the project installs.
//
//   npx node examples/grpc-js.ts [host:port]
//
// What a device adds to this: it keeps each batch until its ack has come, and when the stream ends before, it opens
// another and sends what is left again. client/stream/device-stream.ts does that in full.

import { randomUUID } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { StreamLogsRequestSchema, StreamLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { LogBatchSchema, LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

const client = new Client(process.argv[2] ?? "127.0.0.1:50051", credentials.createInsecure());
const call = client.makeBidiStreamRequest(
  "/fleetlog.v1.IngestService/StreamLogs",
  (batch: Uint8Array) => Buffer.from(batch),
  (bytes: Buffer) => fromBinary(StreamLogsResponseSchema, bytes).ack,
);
call.on("data", (ack) => console.log(`batch ${ack.sequence}: ${ack.accepted} accepted`, ack.error ?? ""));
call.on("error", (error) => console.error(error.message));
call.on("end", () => client.close());

const sessionId = randomUUID(); // a new one at every boot
for (const sequence of [1n, 2n, 3n]) {
  const record = create(LogRecordSchema, {
    timeUnixNano: BigInt(Date.now()) * 1_000_000n,
    severity: Severity.INFO,
    logger: "example",
    message: `hello ${sequence} from grpc-js`,
    attributes: [{ key: "firmware", value: { case: "stringValue", value: "1.4.2" } }],
  });
  const batch = create(LogBatchSchema, {
    deviceId: "example-grpc-js",
    sessionId,
    sequence,
    records: [record],
  });
  call.write(toBinary(StreamLogsRequestSchema, create(StreamLogsRequestSchema, { batch })));
}
call.end(); // half-closes: the server acknowledges the rest, then ends the stream
