import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { type SessionKey, StreamLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { type Outcome, toAck } from "../outcome.ts";
import type { StreamDependencies } from "../streams/create-streams.ts";
import { connectAgain, IngestStream, type StreamTransport } from "../streams/ingest-stream.ts";
import { refusalError, sendersMistake } from "./refusal-error.ts";

/** One message of a device, its batch as bytes. */
export interface StreamRequest {
  readonly batch: Uint8Array | undefined;
  readonly reportCommitted: Pick<SessionKey, "deviceId" | "sessionId"> | undefined;
  /** Takes the batch in, where more is known of it than its bytes. */
  readonly accept?: () => Promise<Outcome>;
}

type Response = MessageInitShape<typeof StreamLogsResponseSchema>;

/** One stream as connect-node wants it: what comes in is iterated over, what goes out is yielded. */
export async function* streamResponses(
  requests: AsyncIterable<StreamRequest>,
  parts: StreamDependencies & Pick<StreamTransport, "accept">,
): AsyncIterable<Response> {
  if (parts.openStreams.isEnding) throw refusalError(connectAgain("the server is stopping"));
  /** What is to be said, and what to do when something changed. Each kind of it has a bound of its own. */
  const due: { response: Response; sent: () => void }[] = [];
  let ended: ConnectError | "complete" | undefined;
  let unreadable: ConnectError | undefined;
  let changed = Promise.withResolvers<void>();
  const wake = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  let roomAgain = Promise.withResolvers<void>();
  const end = (how: ConnectError | "complete") => {
    ended ??= how;
    roomAgain.resolve();
    wake();
  };
  const say = (response: Response, sent: () => void) => {
    due.push({ response, sent });
    wake();
  };
  const stream = new IngestStream(parts, {
    accept: parts.accept,
    sendAck: (verdict, sent) => say({ ack: toAck(verdict) }, sent),
    sendProgress: (progress, sent) => say(progress ? { progress } : {}, sent),
    resumeReading: () => roomAgain.resolve(),
    stopReading: () => undefined, // whoever reads asks before each message
    finish: (ending) => end(unreadable ?? (ending ? refusalError(ending) : "complete")),
  });

  const read = async () => {
    try {
      for await (const { batch, reportCommitted, accept } of requests) {
        if (stream.isEnding) return;
        if (batch !== undefined || reportCommitted === undefined)
          stream.push(batch ?? new Uint8Array(), accept);
        if (reportCommitted !== undefined) stream.reportCommitted(reportCommitted);
        if (!stream.isFull) continue;
        roomAgain = Promise.withResolvers();
        await roomAgain.promise;
      }
    } catch (error) {
      const reason = ConnectError.from(error);
      unreadable = sendersMistake(reason.code, reason.rawMessage) ?? reason;
    }
    await stream.finish(undefined);
  };

  try {
    void read(); // every way it ends is told by `end`
    for (;;) {
      const wait = changed.promise;
      for (let next = due.shift(); next !== undefined; next = due.shift()) {
        yield create(StreamLogsResponseSchema, next.response);
        next.sent(); // asked for the next one: this one is with the connection
      }
      if (ended !== undefined) break;
      await wait;
    }
    if (ended !== "complete") throw ended;
  } finally {
    end("complete"); // the device may have gone in the middle
    stream.close();
  }
}
