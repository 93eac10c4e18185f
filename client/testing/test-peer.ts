import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import {
  AckSchema,
  type GetSessionResponse,
  GetSessionResponseSchema,
  type ProgressSchema,
  StreamLogsRequestSchema,
  StreamLogsResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { Dropped } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** How a {@link TestPeer} treats a batch: acknowledges it, stays silent, or cuts the stream. */
export type Answer = MessageInitShape<typeof AckSchema> | "silence" | "cut";

export interface SeenBatch {
  /** On which stream of this peer, from 0. */
  readonly stream: number;
  readonly sequence: bigint;
  readonly messages: readonly string[];
  readonly dropped: Dropped | undefined;
  readonly request: Buffer;
}

/** The progress that a test reports. */
export type ProgressInit = MessageInitShape<typeof ProgressSchema>;

/**
 * A peer of StreamLogs that speaks the real protocol on a real socket and behaves as the test demands,
 * for cases that the real server shows only by chance: a stream cut between two acks, errors, silence.
 */
export class TestPeer {
  readonly seen: SeenBatch[] = [];
  /** By default everything is acknowledged. */
  answer: (batch: SeenBatch) => Answer = () => ({});
  /** The progress sent immediately to a stream that asks for it; none by default. */
  progress: ((stream: number) => ProgressInit) | undefined;
  /** The response of GetSession; UNAVAILABLE by default. */
  session: (() => MessageInitShape<typeof GetSessionResponseSchema>) | undefined;
  streams = 0;
  sessionCalls = 0;
  #calls = new Set<ServerDuplexStream<Buffer, Buffer>>();
  #server = new Server();
  #port = 0;

  /** Streams that are open now. */
  get openStreams(): number {
    return this.#calls.size;
  }

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
    this.#server.register(
      "/fleetlog.v1.IngestService/GetSession",
      (_call: unknown, callback: sendUnaryData<GetSessionResponse>) => {
        this.sessionCalls++;
        if (this.session) callback(null, create(GetSessionResponseSchema, this.session()));
        else callback({ code: status.UNAVAILABLE, details: "no consumer answered" });
      },
      (response: GetSessionResponse) => Buffer.from(toBinary(GetSessionResponseSchema, response)),
      (bytes: Buffer) => bytes,
      "unary",
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

  /** Sends progress to every open stream. */
  tell(progress: ProgressInit): void {
    for (const call of this.#calls) this.#write(call, { progress });
  }

  /** Ends every stream as a server does with an old one: with UNAVAILABLE, keeping the connection open. */
  endStreams(): void {
    for (const call of this.#calls) call.emit("error", { code: status.UNAVAILABLE, details: "too old" });
  }

  [Symbol.dispose](): void {
    this.kill();
  }

  #serve(call: ServerDuplexStream<Buffer, Buffer>): void {
    const stream = this.streams++;
    let cut = false;
    call.on("error", () => {}); // the client disconnected: the test observes the next stream
    this.#calls.add(call);
    call.on("close", () => this.#calls.delete(call));
    call.on("data", (request: Buffer) => {
      if (cut) return;
      const { batch, reportCommitted } = fromBinary(StreamLogsRequestSchema, request);
      if (reportCommitted && this.progress) this.#write(call, { progress: this.progress(stream) });
      if (!batch) return;
      const { sequence, dropped } = batch;
      const messages = batch.records.map((record) => record.message);
      const seen = { stream, sequence, messages, dropped, request };
      this.seen.push(seen);
      const answer = this.answer(seen);
      if (answer === "silence") return;
      if (answer === "cut") {
        call.emit("error", { code: status.UNAVAILABLE, details: "cut by the test" });
        cut = true;
        return;
      }
      this.#write(call, { ack: create(AckSchema, { sequence, accepted: batch.records.length, ...answer }) });
    });
    call.on("end", () => call.end());
  }

  #write(
    call: ServerDuplexStream<Buffer, Buffer>,
    response: MessageInitShape<typeof StreamLogsResponseSchema>,
  ): void {
    call.write(Buffer.from(toBinary(StreamLogsResponseSchema, create(StreamLogsResponseSchema, response))));
  }
}
