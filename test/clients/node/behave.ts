// A device made of generated code alone, by grpc-js, or by connect-node over Connect or gRPC-Web:
// behave.ts CLIENT ADDRESS DEVICE BEHAVIOUR (see test/behaviours.test.ts).

import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { createAttributes } from "#proto/attributes.ts";
import { type Ack, IngestService } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { type LogBatch, LogBatchSchema, LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { BadRequestSchema } from "#proto/gen/google/rpc/error_details_pb.ts";

const [, , kind, address, device, behaviour] = process.argv as unknown as readonly [
  string,
  string,
  "connect-node" | "connect-node-grpc" | "connect-node-grpc-web",
  string,
  string,
  keyof typeof behaviours,
];
const timeoutMs = 60_000;

function open(options: { readonly gzip?: boolean } = {}): Client<typeof IngestService> {
  const compress = options.gzip ? { sendCompression: compressionGzip, compressMinBytes: 0 } : {};
  const common = { baseUrl: `http://${address}`, ...compress };
  return createClient(
    IngestService,
    kind === "connect-node-grpc"
      ? createGrpcTransport(common)
      : kind === "connect-node"
        ? createConnectTransport({ ...common, httpVersion: "2" })
        : createGrpcWebTransport({ ...common, httpVersion: "2" }),
  );
}

const client = open();

function makeBatch(sequence: number, count = 1): LogBatch {
  return create(LogBatchSchema, {
    deviceId: device,
    sessionId: "boot-1",
    sequence: BigInt(sequence),
    records: Array.from({ length: count }, (_, index) =>
      create(LogRecordSchema, {
        timeUnixNano: 1_767_225_600_000_000_000n + BigInt(sequence),
        severity: Severity.INFO,
        message: `batch ${sequence} record ${index}`,
        attributes: createAttributes({ zone: "north", count: -sequence, ratio: 0.5, ok: true }),
      }),
    ),
  });
}

function makeBatches(first: number, last: number, records = 1): LogBatch[] {
  return Array.from({ length: last - first + 1 }, (_, index) => makeBatch(first + index, records));
}

async function push(batch: LogBatch, options: { timeoutMs?: number } = {}, by = client): Promise<Ack> {
  return (await by.pushLogs({ batch }, { timeoutMs, ...options })).ack!;
}

async function stream(
  batches: readonly LogBatch[],
  onAck: (ack: Ack) => void,
  { pauseMs = 0, by = client }: { pauseMs?: number; by?: Client<typeof IngestService> } = {},
): Promise<void> {
  async function* requests() {
    for (const batch of batches) {
      yield { batch };
      if (pauseMs > 0) await sleep(pauseMs);
    }
  }
  for await (const { ack } of by.streamLogs(requests(), { timeoutMs })) if (ack) onAck(ack);
}

const behaviours = {
  async unary() {
    return { accepted: (await push(makeBatch(1, 3))).accepted };
  },
  async pipelined() {
    const sequences: bigint[] = [];
    await stream(makeBatches(1, 1_000), ({ sequence }) => sequences.push(sequence));
    return {
      acks: sequences.length,
      in_order: sequences.every((sequence, index) => sequence === BigInt(index + 1)),
    };
  },
  async deadline() {
    const late = await push(makeBatch(1), { timeoutMs: 1 }).catch(
      (error: unknown) => ConnectError.from(error).code,
    );
    return { code: typeof late === "number" ? late : 0, accepted: (await push(makeBatch(1))).accepted };
  },
  async cancel() {
    const batches = makeBatches(1, 50);
    const abort = new AbortController();
    async function* requests() {
      for (const batch of batches) yield { batch };
      await new Promise((resolve) => abort.signal.addEventListener("abort", resolve));
    }
    let acks = 0;
    const canceled = async () => {
      for await (const { ack } of client.streamLogs(requests(), { signal: abort.signal })) {
        if (ack) acks += 1;
        if (acks === 5) abort.abort();
      }
    };
    const code = await canceled().then(
      () => 0,
      (error: unknown) => ConnectError.from(error).code,
    );
    acks = 0;
    await stream(batches, () => (acks += 1));
    return { code, acks };
  },
  async gzip() {
    const by = open({ gzip: true });
    let { accepted } = await push(makeBatch(1, 100), {}, by);
    await stream(makeBatches(2, 11, 100), (ack) => (accepted += ack.accepted), { by });
    return { accepted };
  },
  async again() {
    const batch = makeBatch(1, 10);
    const accepted = [];
    for (let time = 0; time < 3; time += 1) accepted.push((await push(batch)).accepted);
    return { accepted };
  },
  async reencoded() {
    const batch = makeBatch(1, 10);
    const decoded = fromBinary(LogBatchSchema, toBinary(LogBatchSchema, batch));
    for (const record of decoded.records) record.attributes.reverse();
    return { accepted: [(await push(batch)).accepted, (await push(decoded)).accepted] };
  },
  async invalid() {
    const bad = { ...makeBatch(1), deviceId: "a b" };
    const error = await push(bad).then(
      () => new ConnectError("accepted"),
      (error: unknown) => ConnectError.from(error),
    );
    const violation = error.findDetails(BadRequestSchema)[0]?.fieldViolations[0];
    const acks: Ack[] = [];
    await stream([bad, makeBatch(1)], (ack) => acks.push(ack));
    const [refused, good] = acks;
    return {
      code: error.code,
      field: violation?.field,
      description: violation?.description,
      stream: [refused?.error?.code, refused?.error?.field, good?.accepted],
    };
  },
  /** Keeps what is not acknowledged, and sends it again on a new stream when the server ends the old one. */
  async moved() {
    const pending = makeBatches(1, 400);
    let reconnects = 0;
    while (pending.length > 0) {
      try {
        await stream(
          [...pending],
          (ack) => {
            if (ack.error || ack.sequence !== pending.shift()?.sequence) throw new Error("an unexpected ack");
          },
          { pauseMs: 30 },
        );
      } catch (error) {
        if (ConnectError.from(error).code !== Code.Unavailable || reconnects === 100) throw error;
        reconnects += 1;
        await sleep(100);
      }
    }
    return { reconnects, left: pending.length };
  },
  async limits() {
    const { recordsMax, serverTimeUnixNano } = await client.getLimits({});
    return { records_max: recordsMax, has_time: serverTimeUnixNano > 1_767_225_600_000_000_000n };
  },
};

console.log(JSON.stringify(await behaviours[behaviour]()));
process.exit(0); // its connections are kept open
