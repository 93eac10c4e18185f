import { fromBinary } from "@bufbuild/protobuf";
import type { Client, ClientDuplexStream, StatusObject } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import { type Ack, StreamLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** What a connection needs to know of a batch: the encoded StreamLogsRequest and its number. */
export interface Sendable {
  readonly sequence: bigint;
  readonly request: Buffer;
}

/** Why a connection ended; `code` is a gRPC status code. */
export interface ConnectionEnd {
  readonly code: status;
  readonly reason: string;
}

export interface ConnectionOptions<Batch extends Sendable> {
  /** How long the oldest batch may wait while no ack arrives at all, before the connection counts as dead. */
  readonly ackTimeoutMs: number;
  readonly onAck: (batch: Batch, ack: Ack) => void;
  /** Called once, after the last ack that arrived. Batches without an ack by then may or may not be stored. */
  readonly onEnd: (end: ConnectionEnd) => void;
}

/**
 * One StreamLogs call, from its opening to its end. The server answers every batch once and in the order in
 * which they were written; an answer out of order, or none for too long, ends the call.
 */
export class Connection<Batch extends Sendable> {
  readonly #call: ClientDuplexStream<Buffer, Ack | undefined>;
  readonly #options: ConnectionOptions<Batch>;
  readonly #awaiting: Batch[] = [];
  #awaitingBytes = 0;
  #ackTimer: NodeJS.Timeout | undefined;
  /** Our own reason for cancelling, which the status CANCELLED would hide. */
  #cancelReason: string | undefined;
  #status: StatusObject | undefined;
  #readEnded = false;
  #ended = false;

  constructor(client: Client, options: ConnectionOptions<Batch>) {
    this.#options = options;
    this.#call = client.makeBidiStreamRequest(
      "/fleetlog.v1.IngestService/StreamLogs",
      (request: Buffer) => request,
      (bytes: Buffer) => fromBinary(StreamLogsResponseSchema, bytes).ack,
    );
    this.#call.on("data", (ack: Ack | undefined) => this.#receive(ack));
    this.#call.on("error", () => {}); // the same failure arrives as the status, on which we act
    this.#call.on("status", (status) => {
      this.#status = status;
      this.#finish();
    });
    this.#call.on("end", () => {
      this.#readEnded = true;
      this.#finish();
    });
  }

  get awaitingCount(): number {
    return this.#awaiting.length;
  }

  get awaitingBytes(): number {
    return this.#awaitingBytes;
  }

  write(batch: Batch): void {
    this.#awaiting.push(batch);
    this.#awaitingBytes += batch.request.byteLength;
    if (this.#awaiting.length === 1) this.#restartAckTimer();
    this.#call.write(batch.request);
  }

  /** Says that nothing more will be written; the server then answers what it has and ends the call, or we do. */
  end(): void {
    this.#call.end();
    setTimeout(() => this.cancel("the server did not end the stream"), endTimeoutMs).unref();
  }

  cancel(reason: string): void {
    this.#cancelReason ??= reason;
    this.#call.cancel();
  }

  #receive(ack: Ack | undefined): void {
    if (this.#cancelReason !== undefined) return;
    const batch = this.#awaiting[0];
    if (ack === undefined || batch === undefined || !answers(ack, batch)) {
      this.cancel(`the server answered batch ${ack?.sequence} where ${batch?.sequence ?? "none"} was due`);
      return;
    }
    this.#awaiting.shift();
    this.#awaitingBytes -= batch.request.byteLength;
    this.#restartAckTimer();
    this.#options.onAck(batch, ack);
  }

  #restartAckTimer(): void {
    clearTimeout(this.#ackTimer);
    if (this.#awaiting.length === 0) return;
    const { ackTimeoutMs } = this.#options;
    this.#ackTimer = setTimeout(
      () => this.cancel(`no acknowledgement within ${ackTimeoutMs} ms`),
      ackTimeoutMs,
    );
  }

  /** The status can overtake answers that are still buffered: the end is when both are through. */
  #finish(): void {
    if (this.#status === undefined || !this.#readEnded || this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#ackTimer);
    const { code, details } = this.#status;
    this.#options.onEnd({
      code: this.#cancelReason === undefined ? code : status.UNAVAILABLE,
      reason: this.#cancelReason ?? (details || `the server ended the stream with status ${status[code]}`),
    });
  }
}

const endTimeoutMs = 1_000;

/** A batch that the server could not read far enough to find its sequence is refused as number 0. */
function answers(ack: Ack, batch: Sendable): boolean {
  return ack.sequence === batch.sequence || (ack.sequence === 0n && ack.error !== undefined);
}
