import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { type SessionKey, StreamLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { toConnectError } from "#rpc/create-handlers.ts";
import { type Encoding, toAck } from "../ack.ts";
import type { Outcome } from "../outcome.ts";
import type { StreamDependencies } from "../streams/create-streams.ts";
import { connectAgain, IngestStream } from "../streams/ingest-stream.ts";
import { refusalError } from "./refusal-error.ts";
import { ResponseQueue } from "./response-queue.ts";

/** One message of a device, its batch as bytes. */
export interface StreamRequest {
  readonly batch: Uint8Array | undefined;
  readonly reportCommitted: Pick<SessionKey, "deviceId" | "sessionId"> | undefined;
  /** Validates the batch and appends it, or refuses a missing one. */
  readonly accept: () => Promise<Outcome>;
}

type Response = MessageInitShape<typeof StreamLogsResponseSchema>;

/** One stream as connect-node wants it: what comes in is iterated over, what goes out is yielded. */
export async function* streamResponses(
  requests: AsyncIterable<StreamRequest>,
  shared: StreamDependencies,
  encoding: Encoding,
): AsyncIterable<Response> {
  if (shared.openStreams.isEnding) throw refusalError(connectAgain("the server is stopping"));
  const responses = new ResponseQueue<Response>();
  const send = (response: Response, sent: () => void) =>
    responses.push(create(StreamLogsResponseSchema, response), sent);
  let readError: ConnectError | undefined;
  let resumeReading = noop;
  const stream = new IngestStream(shared, {
    sendAck: (outcome, sent) => send({ ack: toAck(outcome, encoding) }, sent),
    sendProgress: (progress, sent) => send(progress ? { progress } : {}, sent),
    resumeReading: () => resumeReading(),
    stopReading: noop, // the reader asks before each message
    finish: (refusal) => {
      responses.end(readError ?? (refusal && refusalError(refusal)));
      resumeReading();
    },
  });

  const read = async () => {
    try {
      for await (const { batch, reportCommitted, accept } of requests) {
        if (stream.isEnding) return;
        if (batch !== undefined || reportCommitted === undefined) stream.push(batch?.length ?? 0, accept);
        if (reportCommitted !== undefined) stream.reportCommitted(reportCommitted);
        if (stream.isFull) await new Promise<void>((resolve) => (resumeReading = resolve));
      }
    } catch (error) {
      readError = toConnectError(error);
    }
    await stream.finish(undefined);
  };

  try {
    void read(); // however it ends, it finishes the stream
    yield* responses;
  } finally {
    stream.close(); // the device may have left in the middle
    resumeReading();
  }
}

function noop(): void {}
