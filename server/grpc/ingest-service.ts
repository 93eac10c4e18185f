import type {
  handleBidiStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerUnaryCall,
  ServiceDefinition,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { Metadata, status } from "@grpc/grpc-js";
import { BatchPipeline, type SharedRoom } from "../batch-pipeline.ts";
import type { Intake } from "../intake.ts";
import type { OpenStream, OpenStreams } from "../open-streams.ts";
import type { Verdict } from "../verdict.ts";
import { encodeResponse } from "./encode-ack.ts";
import { refusalStatus } from "./status.ts";

const asBytes = (bytes: Buffer): Buffer => bytes;

function method(name: string, streams: boolean) {
  return {
    path: `/fleetlog.v1.IngestService/${name}`,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: asBytes,
    // A deserializer that throws ends the call with INTERNAL, so ours takes anything: the intake reads the bytes.
    requestDeserialize: asBytes,
    responseSerialize: encodeResponse,
    responseDeserialize: asBytes,
  };
}

/** `fleetlog.v1.IngestService`, its requests left as bytes. */
export const ingestService = {
  PushLogs: method("PushLogs", false),
  StreamLogs: method("StreamLogs", true),
} as unknown as ServiceDefinition;

export function ingestHandlers(
  intake: Intake,
  openStreams: OpenStreams,
  room: SharedRoom,
): UntypedServiceImplementation {
  const push = async (call: ServerUnaryCall<Buffer, Verdict>, callback: sendUnaryData<Verdict>) => {
    const verdict = await intake.acceptRequest(call.request);
    if (verdict.refusal) callback(refusalStatus(verdict.refusal));
    else callback(null, verdict);
  };
  const PushLogs: handleUnaryCall<Buffer, Verdict> = (call, callback) => void push(call, callback);
  const StreamLogs: handleBidiStreamingCall<Buffer, Verdict> = (call) => {
    if (openStreams.isEnding) return endAway(call);
    call.sendMetadata(new Metadata()); // the device sees at once that it is connected
    const pipeline = new BatchPipeline({
      accept: (request) => intake.acceptRequest(request),
      deliver: (verdict, sent) => call.write(verdict, sent),
      onRoom: () => reading && call.resume(),
      room,
    });
    let reading = true;
    const stream: OpenStream = {
      async end() {
        reading = false;
        call.pause();
        await pipeline.whenIdle();
        endAway(call);
      },
    };
    openStreams.add(stream);
    call.on("data", (request: Buffer) => {
      pipeline.push(request);
      if (pipeline.isFull || !reading) call.pause();
    });
    call.on("end", () => {
      void pipeline.whenIdle().then(() => reading && call.end());
    });
    call.on("cancelled", () => pipeline.abandon());
    call.on("close", () => {
      pipeline.abandon();
      openStreams.remove(stream);
    });
  };
  return { PushLogs, StreamLogs };
}

/** Ends a stream so that the device connects again, to another server. */
function endAway(call: ServerDuplexStream<Buffer, Verdict>): void {
  call.emit("error", { code: status.UNAVAILABLE, details: "the server is stopping: connect again" });
}
