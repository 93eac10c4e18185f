import { type StatusObject, status } from "@grpc/grpc-js";
import { type SessionKey, SessionKeySchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { decodeRequest } from "../decode-request.ts";
import type { Ingest } from "../ingest.ts";
import type { Refusal } from "../outcome.ts";
import type { StreamDependencies } from "../streams/create-streams.ts";
import { connectAgain, IngestStream, unreadableMessage } from "../streams/ingest-stream.ts";
import { readSubscription } from "../unwrap-request.ts";
import { encodeProgress, encodeResponse } from "./encode-response.ts";
import { refusalStatus } from "./status.ts";

export interface IngestDependencies extends StreamDependencies {
  readonly ingest: Ingest;
}

/** A status, as far as it has to be given. */
export type Status = Partial<StatusObject> & Pick<StatusObject, "code" | "details">;

/** A call as its method sees it, on either gRPC server. After the end nothing is sent. */
export interface IngestCall {
  /** Sends the headers now; otherwise they leave with what is said first. */
  open(): void;
  /** `sent` is called when the connection has taken the message, or never if it is gone. */
  send(message: Buffer, sent: () => void): void;
  /** The last word, and a last message before it, after what was sent before. */
  finish(status: Status, message?: Buffer): void;
  /** Goes on handing out messages. */
  read(): void;
  /** Reads no further. */
  pause(): void;
}

/** What a method does with its call. */
export interface CallHandler {
  /** Whether the next message is wanted now; if not, {@link IngestCall.read} goes on later. */
  readonly wantsMore: boolean;
  message(message: Buffer): void;
  /** The other end has said all it has to say. */
  complete(): void;
  /** What it says cannot be read: nothing more will come. */
  unreadable(refusal: Refusal): void;
  /** The call is over, however it ended. */
  closed(): void;
}

const noop: CallHandler = { wantsMore: false, message() {}, complete() {}, unreadable() {}, closed() {} };
export const ok: Status = { code: status.OK, details: "" };
/** A response without any field. */
const signOfLife = Buffer.alloc(0);

/** The encoded response to one PushLogsRequest, or the status that stands for it. */
export async function pushLogs({ ingest }: IngestDependencies, request: Buffer): Promise<Buffer | Status> {
  const outcome = await ingest.acceptRequest(request);
  return outcome.refusal ? refusalStatus(outcome.refusal) : encodeResponse(outcome);
}

/** Serves one call of StreamLogs. */
export function streamLogsHandler(parts: IngestDependencies, call: IngestCall): CallHandler {
  if (parts.openStreams.isEnding) {
    call.finish(refusalStatus(connectAgain("the server is stopping")));
    return noop;
  }
  call.open(); // the device sees at once that it is connected
  const stream = new IngestStream(parts, {
    sendAck: (outcome, sent) => call.send(encodeResponse(outcome), sent),
    sendProgress: (progress, sent) => call.send(progress ? encodeProgress(progress) : signOfLife, sent),
    resumeReading: () => call.read(),
    stopReading: () => call.pause(),
    finish: (ending) => call.finish(ending ? refusalStatus(ending) : ok),
  });
  return {
    get wantsMore() {
      return !stream.isFull;
    },
    message(request) {
      if (stream.isEnding) return; // read ahead; the device sends it again
      const subscription = readSubscription(request);
      if (subscription === undefined || subscription.hasBatch) {
        stream.push(request.length, () => parts.ingest.acceptRequest(request));
      }
      if (subscription === undefined) return;
      let name: SessionKey;
      try {
        name = decodeRequest(SessionKeySchema, subscription.session);
      } catch (error) {
        void stream.finish(unreadableMessage("report_committed", error));
        return;
      }
      stream.reportCommitted(name);
    },
    complete: () => void stream.finish(undefined),
    unreadable: (refusal) => void stream.finish(refusal),
    closed: () => stream.close(),
  };
}
