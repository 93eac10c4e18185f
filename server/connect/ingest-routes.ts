import { toBinary } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { limits } from "#batch/limits.ts";
import type { StartRpc } from "#lib/rpc-metrics.ts";
import {
  type GetSessionRequest,
  IngestService,
  type StreamLogsRequest,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { type LogBatch, LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { getSession } from "../get-session.ts";
import type { Intake } from "../intake.ts";
import type { StreamParts } from "../stream-parts.ts";
import { toAck, type Verdict } from "../verdict.ts";
import { blameSender } from "./blame-sender.ts";
import { observeCalls } from "./observe-calls.ts";
import { refusalError } from "./refusal-error.ts";
import { type ShadowRequest, shadowService } from "./shadow-service.ts";
import { type StreamRequest, streamResponses } from "./stream-responses.ts";
import { strictTextDecoder } from "./strict-text-decoder.ts";

export interface IngestRoutesOptions extends StreamParts {
  readonly intake: Intake;
  readonly startRpc: StartRpc;
}

/** The handlers of IngestService by path, for each of the two kinds of encoding. */
export interface IngestRoutes {
  readonly binary: ReadonlyMap<string, UniversalHandler>;
  readonly json: ReadonlyMap<string, UniversalHandler>;
}

/** A batch of 1 MiB can be several times as long in JSON; what is larger is refused before it is in memory. */
const requestBytesMax = 8 * limits.batchBytesMax;

/** connect passes all of them on to its JSON serialization, which takes a decoder too. */
const jsonOptions = {
  ignoreUnknownFields: false,
  alwaysEmitImplicit: true,
  textDecoder: strictTextDecoder,
};

export function createIngestRoutes(options: IngestRoutesOptions): IngestRoutes {
  const { intake } = options;
  const accept = (batch: Uint8Array) => intake.accept(batch);
  const parts = { ...options, accept };
  const look = async (request: GetSessionRequest) => {
    const answer = await getSession(request, options.lookups);
    if ("code" in answer) throw refusalError(answer);
    return answer;
  };

  const binary: Partial<ServiceImpl<typeof IngestService>> = {
    pushLogs: async (request) => answer(await accept(shadowed(request).batch ?? nothing)),
    streamLogs: (requests) => streamResponses(map(requests, readShadow), parts),
    getSession: look,
  };
  const json: Partial<ServiceImpl<typeof IngestService>> = {
    pushLogs: async (request) => answer(await accept(encode(request.batch) ?? nothing)),
    streamLogs: (requests) => streamResponses(map(requests, readJson), parts),
    getSession: look,
  };
  return {
    // The shadow has the same methods as the real service, with other request types.
    binary: handlers(options, (router) => router.service(shadowService as typeof IngestService, binary)),
    json: handlers(options, (router) => router.service(IngestService, json)),
  };
}

function handlers({ startRpc }: IngestRoutesOptions, route: (router: ConnectRouter) => void) {
  const router = createConnectRouter({
    grpc: false, // the other face serves it, many times faster
    readMaxBytes: requestBytesMax,
    acceptCompression: [compressionGzip], // of what it unpacks to, no more than readMaxBytes is made
    jsonOptions,
    interceptors: [observeCalls(startRpc)],
  });
  route(router);
  return new Map(router.handlers.map((handler) => [handler.requestPath, blameSender(handler)]));
}

function answer(verdict: Verdict) {
  if (verdict.refusal) throw refusalError(verdict.refusal);
  return { ack: toAck(verdict) };
}

const nothing = new Uint8Array();

/** What the real service calls its request is one of the shadow. */
function shadowed(request: unknown): ShadowRequest {
  return request as ShadowRequest;
}

function readShadow(request: unknown): StreamRequest {
  const { batch, reportCommitted } = shadowed(request);
  return { batch, reportCommitted };
}

function readJson({ batch, reportCommitted }: StreamLogsRequest): StreamRequest {
  return { batch: encode(batch), reportCommitted };
}

/** What the device said in JSON, encoded once; its digest is over these bytes. */
function encode(batch: LogBatch | undefined): Uint8Array | undefined {
  return batch && toBinary(LogBatchSchema, batch);
}

async function* map<From, To>(from: AsyncIterable<From>, convert: (value: From) => To): AsyncIterable<To> {
  for await (const value of from) yield convert(value);
}
