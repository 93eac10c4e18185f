import { toBinary } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { limits } from "#batch/limits.ts";
import { IngestService, type StreamLogsRequest } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { type LogBatch, LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { SharedRoom } from "../batch-pipeline.ts";
import type { Intake } from "../intake.ts";
import type { OpenStreams } from "../open-streams.ts";
import type { StartRpc } from "../rpc-metrics.ts";
import { toAck, type Verdict } from "../verdict.ts";
import { blameSender } from "./blame-sender.ts";
import { observeCalls } from "./observe-calls.ts";
import { refusalError } from "./refusal-error.ts";
import { batchOf, shadowService } from "./shadow-service.ts";
import { streamAcks } from "./stream-acks.ts";
import { utf8Body } from "./utf8-body.ts";

export interface IngestRoutesOptions {
  readonly intake: Intake;
  readonly openStreams: OpenStreams;
  readonly room: SharedRoom;
  readonly startRpc: StartRpc;
}

/** The handlers of IngestService by path, for each of the two kinds of encoding. */
export interface IngestRoutes {
  readonly binary: ReadonlyMap<string, UniversalHandler>;
  readonly json: ReadonlyMap<string, UniversalHandler>;
}

/** A batch of 1 MiB can be several times as long in JSON; what is larger is refused before it is in memory. */
const requestBytesMax = 8 * limits.batchBytesMax;

export function createIngestRoutes(options: IngestRoutesOptions): IngestRoutes {
  const { intake } = options;
  const accept = (batch: Uint8Array) => intake.accept(batch);

  const binary: Partial<ServiceImpl<typeof IngestService>> = {
    pushLogs: async (request) => answer(await accept(batchOf(request))),
    async *streamLogs(requests) {
      yield* acks(streamAcks(map(requests, batchOf), { ...options, accept }));
    },
  };
  const json: Partial<ServiceImpl<typeof IngestService>> = {
    pushLogs: async (request) => answer(await accept(encode(request.batch))),
    async *streamLogs(requests) {
      const batches = map(requests, (request: StreamLogsRequest) => encode(request.batch));
      yield* acks(streamAcks(batches, { ...options, accept }));
    },
  };
  return {
    // The shadow has the same methods as the real service, with other request types.
    binary: handlers(options, (router) => router.service(shadowService as typeof IngestService, binary)),
    json: handlers(options, (router) => router.service(IngestService, json), utf8Body),
  };
}

function handlers(
  { startRpc }: IngestRoutesOptions,
  route: (router: ConnectRouter) => void,
  check: (handler: UniversalHandler) => UniversalHandler = (handler) => handler,
) {
  const router = createConnectRouter({
    grpc: false, // the other face serves it, many times faster
    readMaxBytes: requestBytesMax,
    jsonOptions: { ignoreUnknownFields: false, alwaysEmitImplicit: true },
    interceptors: [observeCalls(startRpc)],
  });
  route(router);
  return new Map(router.handlers.map((handler) => [handler.requestPath, blameSender(check(handler))]));
}

function answer(verdict: Verdict) {
  if (verdict.refusal) throw refusalError(verdict.refusal);
  return { ack: toAck(verdict) };
}

async function* acks(verdicts: AsyncIterable<Verdict>) {
  for await (const verdict of verdicts) yield { ack: toAck(verdict) };
}

/** What the device said in JSON, encoded once; its digest is over these bytes. */
function encode(batch: LogBatch | undefined): Uint8Array {
  return batch ? toBinary(LogBatchSchema, batch) : new Uint8Array();
}

async function* map<From, To>(from: AsyncIterable<From>, convert: (value: From) => To): AsyncIterable<To> {
  for await (const value of from) yield convert(value);
}
