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

/** What a {@link TestPeer} does with a batch: answers it, says nothing, or cuts the stream instead. */
export type Answer = MessageInitShape<typeof AckSchema> | "silence" | "cut";

export interface SeenBatch {
  /** On which stream of this peer, from 0. */
  readonly stream: number;
  readonly sequence: bigint;
  readonly messages: readonly string[];
  readonly dropped: Dropped | undefined;
  readonly request: Buffer;
}

/** How far a test says that a session is committed. */
export type ProgressInit = MessageInitShape<typeof ProgressSchema>;

/**
 * The other end of StreamLogs, speaking the real protocol on a real socket but doing what a test tells it, for the
 * cases that the real server shows only by chance: a stream cut between two acks, errors, silence.
 */
export class TestPeer {
  readonly seen: SeenBatch[] = [];
  /** By default everything is acknowledged. */
  answer: (batch: SeenBatch) => Answer = () => ({});
  /** What a stream is told that asks for progress, at once; nothing by default. */
  progress: ((stream: number) => ProgressInit) | undefined;
  /** What GetSession answers; UNAVAILABLE by default. */
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
        else callback({ code: status.UNAVAILABLE, details: "nobody can tell" });
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

  /** Tells every stream that is open. */
  tell(progress: ProgressInit): void {
    for (const call of this.#calls) this.#write(call, { progress });
  }

  /** Ends every stream as a server does when it is old: with UNAVAILABLE, the connection staying open. */
  endStreams(): void {
    for (const call of this.#calls) call.emit("error", { code: status.UNAVAILABLE, details: "too old" });
  }

  [Symbol.dispose](): void {
    this.kill();
  }

  #serve(call: ServerDuplexStream<Buffer, Buffer>): void {
    const stream = this.streams++;
    let cut = false;
    call.on("error", () => {}); // the client went away: the next stream is what the test looks at
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
