// Sends with connect-node: one batch per call over HTTP/1.1, then several over one gRPC stream.
// `npx node` is the Node 24 that the project installs.
//
//   npx node examples/connect.ts [http://host:port of the Connect side] [http://host:port of the gRPC side]

import { randomUUID } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { IngestService } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

const [connectUrl = "http://127.0.0.1:8080", grpcUrl = "http://127.0.0.1:50051"] = process.argv.slice(2);
const sessionId = randomUUID(); // a new one at every boot
const batch = (sequence: bigint, message: string) => ({
  deviceId: "example-connect",
  sessionId,
  sequence,
  records: [{ timeUnixNano: BigInt(Date.now()) * 1_000_000n, severity: Severity.INFO, message }],
});

// One batch per call. A call that failed with UNAVAILABLE is made again with the same batch.
const unary = createClient(
  IngestService,
  createConnectTransport({ baseUrl: connectUrl, httpVersion: "1.1" }),
);
const { ack } = await unary.pushLogs(
  { batch: batch(1n, "hello from a Connect call") },
  { timeoutMs: 10_000 },
);
console.log(`call: batch ${ack?.sequence}: ${ack?.accepted} accepted`);

// Many batches over one stream, acknowledged in order.
const streaming = createClient(IngestService, createGrpcTransport({ baseUrl: grpcUrl }));
async function* batches() {
  for (const sequence of [2n, 3n]) yield { batch: batch(sequence, `hello ${sequence} from a gRPC stream`) };
}
for await (const { ack } of streaming.streamLogs(batches(), { timeoutMs: 10_000 })) {
  console.log(`stream: batch ${ack?.sequence}: ${ack?.accepted} accepted`, ack?.error ?? "");
}
