import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  type handleUnaryCall,
  Metadata,
  type ServerDuplexStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import {
  GetLimitsRequestSchema,
  GetLimitsResponseSchema,
  GetSessionRequestSchema,
  GetSessionResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { decodeRequest } from "../decode-request.ts";
import { getLimits } from "../get-limits.ts";
import { getSession } from "../progress/get-session.ts";
import { unreadableMessage } from "../streams/ingest-stream.ts";
import { type IngestDependencies, pushLogs, type Status, streamLogsHandler } from "./ingest-calls.ts";
import { UnreadableMessage } from "./read-messages.ts";
import { refusalStatus } from "./status.ts";

const asBytes = (bytes: Buffer): Buffer => bytes;

function method(name: string, streams: boolean) {
  return {
    path: `/fleetlog.v1.IngestService/${name}`,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: asBytes,
    // Leaves the bytes, or what stands in their place: a deserializer that throws ends the call with INTERNAL.
    requestDeserialize: asBytes,
    responseSerialize: asBytes,
    responseDeserialize: asBytes,
  };
}

/** `fleetlog.v1.IngestService`, its requests left as bytes. */
export const ingestService = {
  PushLogs: method("PushLogs", false),
  StreamLogs: method("StreamLogs", true),
  GetSession: method("GetSession", false),
  GetLimits: method("GetLimits", false),
} as unknown as ServiceDefinition;

/** The handlers of IngestService on grpc-js. */
export function ingestHandlers(parts: IngestDependencies): UntypedServiceImplementation {
  return {
    PushLogs: unaryHandler((request) => pushLogs(parts, request)),
    GetSession: unaryHandler(
      decoding(GetSessionRequestSchema, async (request) => {
        const answer = await getSession(request, parts.lookups);
        return "code" in answer ? refusalStatus(answer) : encode(GetSessionResponseSchema, answer);
      }),
    ),
    GetLimits: unaryHandler(
      decoding(GetLimitsRequestSchema, async () => encode(GetLimitsResponseSchema, getLimits())),
    ),
    StreamLogs: (call: ServerDuplexStream<Buffer, Buffer>) => {
      const handler = streamLogsHandler(parts, {
        open: () => call.sendMetadata(new Metadata()),
        send: (message, sent) => call.write(message, sent),
        finish: (ended) => (ended.code === status.OK ? call.end() : call.emit("error", ended)),
        read: () => call.resume(),
        pause: () => call.pause(),
      });
      call.on("data", (request: Buffer | UnreadableMessage) => {
        if (request instanceof UnreadableMessage) handler.unreadable(request.refusal);
        else handler.message(request);
        if (!handler.wantsMore) call.pause();
      });
      call.on("end", () => handler.complete());
      call.on("cancelled", () => handler.closed());
      call.on("close", () => handler.closed());
    },
  };
}

/** Answers a request with its message, or with INVALID_ARGUMENT when it is none. */
function decoding<Desc extends DescMessage>(
  schema: Desc,
  answer: (request: MessageShape<Desc>) => Promise<Buffer | Status>,
): (request: Buffer) => Promise<Buffer | Status> {
  return async (request) => {
    let decoded: MessageShape<Desc>;
    try {
      decoded = decodeRequest(schema, request);
    } catch (error) {
      return refusalStatus(unreadableMessage("request", error));
    }
    return answer(decoded);
  };
}

function encode<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Buffer {
  return Buffer.from(toBinary(schema, message));
}

/** `answer` must not reject. */
function unaryHandler(
  answer: (request: Buffer) => Promise<Buffer | Status>,
): handleUnaryCall<Buffer, Buffer> {
  const respond = async (request: Buffer, callback: sendUnaryData<Buffer>) => {
    const response = await answer(request);
    if ("code" in response) callback(response);
    else callback(null, response);
  };
  return ({ request }, callback) => void respond(request, callback);
}
