import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  handleBidiStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerUnaryCall,
  ServiceDefinition,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import {
  GetSessionRequestSchema,
  GetSessionResponseSchema,
  SessionNameSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { getSession } from "../get-session.ts";
import { away, IngestStream, unreadable } from "../ingest-stream.ts";
import type { Intake } from "../intake.ts";
import type { StreamParts } from "../stream-parts.ts";
import { wishOf } from "../unwrap-request.ts";
import type { Refusal, Verdict } from "../verdict.ts";
import { encodeProgress, encodeResponse } from "./encode-response.ts";
import { refusalStatus } from "./status.ts";

export interface IngestParts extends StreamParts {
  readonly intake: Intake;
}

/** A verdict, or what is encoded already. */
type Response = Verdict | Buffer;

const asBytes = (bytes: Buffer): Buffer => bytes;
/** A response without any field. */
const signOfLife = Buffer.alloc(0);

function method(name: string, streams: boolean) {
  return {
    path: `/fleetlog.v1.IngestService/${name}`,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: asBytes,
    // A deserializer that throws ends the call with INTERNAL, so ours takes anything: the intake reads the bytes.
    requestDeserialize: asBytes,
    responseSerialize: (response: Response) =>
      Buffer.isBuffer(response) ? response : encodeResponse(response),
    responseDeserialize: asBytes,
  };
}

/** `fleetlog.v1.IngestService`, its requests left as bytes. */
export const ingestService = {
  PushLogs: method("PushLogs", false),
  StreamLogs: method("StreamLogs", true),
  GetSession: method("GetSession", false),
} as unknown as ServiceDefinition;

export function ingestHandlers(parts: IngestParts): UntypedServiceImplementation {
  const { intake, lookups } = parts;
  const push = async (call: ServerUnaryCall<Buffer, Response>, callback: sendUnaryData<Response>) => {
    const verdict = await intake.acceptRequest(call.request);
    if (verdict.refusal) callback(refusalStatus(verdict.refusal));
    else callback(null, verdict);
  };
  const look = async (call: ServerUnaryCall<Buffer, Response>, callback: sendUnaryData<Response>) => {
    const request = read(() => fromBinary(GetSessionRequestSchema, call.request), "request");
    const answer = "code" in request ? request : await getSession(request, lookups);
    if ("code" in answer) callback(refusalStatus(answer));
    else callback(null, Buffer.from(toBinary(GetSessionResponseSchema, answer)));
  };
  const PushLogs: handleUnaryCall<Buffer, Response> = (call, callback) => void push(call, callback);
  const GetSession: handleUnaryCall<Buffer, Response> = (call, callback) => void look(call, callback);
  const StreamLogs: handleBidiStreamingCall<Buffer, Response> = (call) => {
    if (parts.openStreams.isEnding) return finish(call, away("the server is stopping"));
    call.sendMetadata(new Metadata()); // the device sees at once that it is connected
    const stream = new IngestStream(parts, {
      accept: (request) => intake.acceptRequest(request),
      deliver: (verdict, sent) => call.write(verdict, sent),
      say: (progress, sent) => call.write(progress ? encodeProgress(progress) : signOfLife, sent),
      readOn: () => call.resume(),
      stopReading: () => call.pause(),
      finish: (ending) => finish(call, ending),
    });
    call.on("data", (request: Buffer) => {
      if (stream.isEnding) return; // read ahead; the device sends it again
      const wish = wishOf(request);
      if (wish === undefined || wish.hasBatch) stream.push(request);
      if (wish !== undefined) {
        const name = read(() => fromBinary(SessionNameSchema, wish.session), "report_committed");
        if ("code" in name) void stream.finish(name);
        else stream.reportCommitted(name);
      }
      if (stream.isFull) call.pause();
    });
    call.on("end", () => void stream.finish(undefined));
    call.on("cancelled", () => stream.close());
    call.on("close", () => stream.close());
  };
  return { PushLogs, StreamLogs, GetSession };
}

function finish(call: ServerDuplexStream<Buffer, Response>, ending: Refusal | undefined): void {
  if (ending === undefined) call.end();
  else call.emit("error", refusalStatus(ending));
}

function read<Message>(decode: () => Message, field: string): Message | Refusal {
  try {
    return decode();
  } catch (error) {
    return unreadable(field, error);
  }
}
