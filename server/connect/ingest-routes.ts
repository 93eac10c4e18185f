import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { readJsonRequest } from "#batch/json/json-request.ts";
import { readJsonSessionName } from "#batch/json/json-session-name.ts";
import { limits } from "#batch/limits.ts";
import { type GetSessionRequest, IngestService } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { createHandlers, type HandlerOptions } from "#rpc/create-handlers.ts";
import { type Encoding, toAck } from "../ack.ts";
import { getLimits } from "../get-limits.ts";
import { type Ingest, toRefusal } from "../ingest.ts";
import type { Outcome } from "../outcome.ts";
import { getSession } from "../progress/get-session.ts";
import type { StreamDependencies } from "../streams/create-streams.ts";
import { createGzip } from "./gzip.ts";
import { keepBytes, takeBytes, withBytes } from "./json-bytes.ts";
import { refusalError } from "./refusal-error.ts";
import type { RequestBudget } from "./request-budget.ts";
import { type ShadowRequest, shadowService } from "./shadow-service.ts";
import { type StreamRequest, streamResponses } from "./stream-responses.ts";

export interface IngestRoutesOptions extends StreamDependencies, Pick<HandlerOptions, "startRpc" | "logger"> {
  readonly ingest: Ingest;
  /** Of unary requests that are being read, all together. */
  readonly requestBudget: RequestBudget;
}

/** The handlers of IngestService by path, for each of the two kinds of encoding. */
export interface IngestRoutes {
  readonly binary: ReadonlyMap<string, UniversalHandler>;
  readonly json: ReadonlyMap<string, UniversalHandler>;
}

/** Two names, whatever way they are written. */
const lookupBytesMax = 4 * 1024;

export function createIngestRoutes(options: IngestRoutesOptions): IngestRoutes {
  const { ingest } = options;
  const accept = ({ batch = nothing, ...beside }: ShadowRequest) => ingest.accept(batch, beside);
  const look = async (request: Pick<GetSessionRequest, "deviceId" | "sessionId">) => {
    const answer = await getSession(request, options.lookups);
    if ("code" in answer) throw refusalError(answer);
    return answer;
  };
  const readJson = (): StreamRequest => {
    const json = readJsonRequest(takeBytes());
    const batch = json.batch ?? (json.error && nothing);
    return { batch, reportCommitted: json.reportCommitted, accept: () => ingest.acceptJson(json) };
  };
  const readShadow = (request: unknown): StreamRequest => {
    const { batch, reportCommitted } = shadowed(request);
    return { batch, reportCommitted, accept: () => accept(shadowed(request)) };
  };

  const handlers = handlersFor(options);
  return {
    binary: handlers(shadowService, limits.requestBytesMax, {
      pushLogs: async (request) => toResponse(await accept(shadowed(request)), "binary"),
      streamLogs: (requests) => streamResponses(map(requests, readShadow), options, "binary"),
      getSession: look,
      getLimits,
    }),
    json: handlers(IngestService, limits.jsonBytesMax, {
      pushLogs: async () => toResponse(await ingest.acceptJson(readJsonRequest(takeBytes())), "json"),
      streamLogs: (requests) => streamResponses(map(requests, readJson), options, "json"),
      getSession: () => look(readName()),
      getLimits() {
        readName(); // it has no field, but has to be JSON
        return getLimits();
      },
    }),
  };
}

type Implementation = ServiceImpl<typeof IngestService>;

function handlersFor({ startRpc, logger, decompressor, requestBudget }: IngestRoutesOptions) {
  const shared = {
    startRpc,
    logger,
    grpc: false, // the other transport serves it, many times faster
    acceptCompression: [createGzip(decompressor)],
    // A hostile request has many unknown fields, and each would be an object.
    binaryOptions: { readUnknownFields: false },
    // connect passes all of them on to its JSON serialization, which takes a decoder too.
    jsonOptions: { alwaysEmitImplicit: true, textDecoder: keepBytes },
  };
  return (service: DescService, readMaxBytes: number, implementation: Implementation) => {
    // A shadow has the same methods as the real service, with other request types.
    const { pushLogs, streamLogs, getSession, getLimits } = (service as typeof IngestService).method;
    const batches = createHandlers(
      (router) => router.rpc(pushLogs, implementation.pushLogs).rpc(streamLogs, implementation.streamLogs),
      { ...shared, readMaxBytes },
    );
    const others = createHandlers(
      (router) => router.rpc(getSession, implementation.getSession).rpc(getLimits, implementation.getLimits),
      { ...shared, readMaxBytes: lookupBytesMax },
    );
    return new Map(
      [...batches, ...others].map((handler) => [
        handler.requestPath,
        requestBudget.within(withBytes(handler)),
      ]),
    );
  };
}

function toResponse(outcome: Outcome, encoding: Encoding) {
  if (outcome.refusal) throw refusalError(outcome.refusal);
  return { ack: toAck(outcome, encoding) };
}

const nothing = new Uint8Array();

/** What the real service calls its request is one of the shadow. */
function shadowed(request: unknown): ShadowRequest {
  return request as ShadowRequest;
}

function readName() {
  try {
    return readJsonSessionName(takeBytes());
  } catch (error) {
    throw refusalError(toRefusal(error));
  }
}

async function* map<From, To>(from: AsyncIterable<From>, convert: (value: From) => To): AsyncIterable<To> {
  for await (const value of from) yield convert(value);
}
