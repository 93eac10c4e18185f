import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerDuplexStream, status } from "@grpc/grpc-js";
import {
  AckSchema,
  StreamLogsRequestSchema,
  StreamLogsResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** What a {@link TestPeer} does with a batch: answers it, says nothing, or cuts the stream instead. */
export type Answer = MessageInitShape<typeof AckSchema> | "silence" | "cut";

export interface SeenBatch {
  /** On which stream of this peer, from 0. */
  readonly stream: number;
  readonly sequence: bigint;
  readonly messages: readonly string[];
  readonly request: Buffer;
}

/**
 * The other end of StreamLogs, speaking the real protocol on a real socket but doing what a test tells it, for the
 * cases that the real server shows only by chance: a stream cut between two acks, errors, silence.
 */
export class TestPeer {
  readonly seen: SeenBatch[] = [];
  /** By default everything is acknowledged. */
  answer: (batch: SeenBatch) => Answer = () => ({});
  streams = 0;
  #server = new Server();
  #port = 0;

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Listens; after {@link kill} on the same port again. */
  async start(): Promise<this> {
    this.#server = new Server();
    this.#server.register(
      "/fleetlog.v1.IngestService/StreamLogs",
      (call: ServerDuplexStream<Buffer, Buffer>) => this.#serve(call),
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      "bidi",
    );
    this.#port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(this.address, ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
    return this;
  }

  /** Destroys every connection and stops listening, as a crash does. */
  kill(): void {
    this.#server.forceShutdown();
  }

  /** Sends GOAWAY on every connection, as Nginx does at keepalive_timeout and a server does when it drains. */
  goAway(graceMs: number): void {
    this.#server.drain(this.address, graceMs);
  }

  [Symbol.dispose](): void {
    this.kill();
  }

  #serve(call: ServerDuplexStream<Buffer, Buffer>): void {
    const stream = this.streams++;
    let cut = false;
    call.on("error", () => {}); // the client went away: the next stream is what the test looks at
    call.on("data", (request: Buffer) => {
      if (cut) return;
      const { batch } = fromBinary(StreamLogsRequestSchema, request);
      if (!batch) throw new Error("a request without a batch");
      const { sequence } = batch;
      const messages = batch.records.map((record) => record.message);
      const seen = { stream, sequence, messages, request };
      this.seen.push(seen);
      const answer = this.answer(seen);
      if (answer === "silence") return;
      if (answer === "cut") {
        call.emit("error", { code: status.UNAVAILABLE, details: "cut by the test" });
        cut = true;
        return;
      }
      const ack = create(AckSchema, { sequence, accepted: batch.records.length, ...answer });
      call.write(Buffer.from(toBinary(StreamLogsResponseSchema, create(StreamLogsResponseSchema, { ack }))));
    });
    call.on("end", () => call.end());
  }
}
