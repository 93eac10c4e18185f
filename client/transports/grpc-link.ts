import { fromBinary } from "@bufbuild/protobuf";
import type { Client, ClientDuplexStream, StatusObject } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import { encodeReportCommitted, withOptions } from "#client/stream/record.ts";
import { readRetryDelayMs } from "#client/transports/retry-info.ts";
import type { Link, LinkOptions, Sendable } from "#client/transports/transport.ts";
import {
  type Ack,
  type Progress,
  type StreamLogsResponse,
  StreamLogsResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/**
 * One StreamLogs call from start to end. The server acknowledges every batch once and in the order
 * written; an ack out of order, or none for too long, ends the call.
 */
export class GrpcLink<Batch extends Sendable> implements Link<Batch> {
  readonly #call: ClientDuplexStream<Buffer, StreamLogsResponse>;
  readonly #options: LinkOptions<Batch>;
  readonly #inFlight: Batch[] = [];
  #inFlightBytes = 0;
  #epoch: bigint | undefined;
  #ackTimer: NodeJS.Timeout | undefined;
  /** Our own reason for cancelling, which the status CANCELLED would hide. */
  #cancelReason: string | undefined;
  #status: StatusObject | undefined;
  #readEnded = false;
  #ended = false;

  constructor(client: Client, options: LinkOptions<Batch>) {
    this.#options = options;
    this.#call = client.makeBidiStreamRequest(
      "/fleetlog.v1.IngestService/StreamLogs",
      (request: Buffer) => request,
      (bytes: Buffer) => fromBinary(StreamLogsResponseSchema, bytes),
    );
    this.#call.on("data", (response: StreamLogsResponse) => this.#receive(response));
    this.#call.on("error", () => {}); // the same failure arrives as the status, on which we act
    this.#call.on("status", (status) => {
      this.#status = status;
      this.#finish();
    });
    this.#call.on("end", () => {
      this.#readEnded = true;
      this.#finish();
    });
    if (options.reportCommitted) this.#call.write(encodeReportCommitted(options.reportCommitted));
  }

  get inFlightCount(): number {
    return this.#inFlight.length;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  write(batch: Batch): void {
    const { request } = batch;
    this.#inFlight.push(batch);
    this.#inFlightBytes += batch.byteLength;
    if (this.#inFlight.length === 1) this.#restartAckTimer();
    this.#call.write(withOptions(request, this.#options.encodeOptions));
  }

  /** Half-closes the call; the server then acknowledges the rest and ends the call, or we cancel it. */
  end(): void {
    this.#call.end();
    setTimeout(() => this.cancel("the server did not end the stream"), endTimeoutMs).unref();
  }

  cancel(reason: string): void {
    this.#cancelReason ??= reason;
    this.#call.cancel();
  }

  /** A response with neither is a heartbeat. */
  #receive({ ack, progress }: StreamLogsResponse): void {
    if (this.#cancelReason !== undefined) return;
    if (progress) this.#receiveProgress(progress);
    if (ack) this.#receiveAck(ack);
  }

  #receiveProgress(progress: Progress): void {
    this.#epoch ??= progress.epoch;
    if (progress.epoch === this.#epoch) this.#options.onProgress?.(progress);
    else this.cancel(`the server changed the epoch of a stream from ${this.#epoch} to ${progress.epoch}`);
  }

  #receiveAck(ack: Ack): void {
    const batch = this.#inFlight[0];
    if (batch === undefined || !acknowledges(ack, batch)) {
      this.cancel(`the server acknowledged batch ${ack.sequence}, expected ${batch?.sequence ?? "none"}`);
      return;
    }
    this.#inFlight.shift();
    this.#inFlightBytes -= batch.byteLength;
    this.#restartAckTimer();
    this.#options.onAck(batch, ack);
  }

  #restartAckTimer(): void {
    clearTimeout(this.#ackTimer);
    if (this.#inFlight.length === 0) return;
    const { ackTimeoutMs } = this.#options;
    this.#ackTimer = setTimeout(
      () => this.cancel(`no acknowledgement within ${ackTimeoutMs} ms`),
      ackTimeoutMs,
    );
  }

  /** The status can overtake buffered acks: the call ends when both are processed. */
  #finish(): void {
    if (this.#status === undefined || !this.#readEnded || this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#ackTimer);
    const { code, details, metadata } = this.#status;
    this.#options.onEnd({
      code: this.#cancelReason === undefined ? code : status.UNAVAILABLE,
      reason: this.#cancelReason ?? (details || `the server ended the stream with status ${status[code]}`),
      retryDelayMs: readRetryDelayMs(metadata),
    });
  }
}

const endTimeoutMs = 1_000;

/** A batch whose sequence the server could not read is refused as number 0. */
function acknowledges(ack: Ack, batch: Sendable): boolean {
  return ack.sequence === batch.sequence || (ack.sequence === 0n && ack.error !== undefined);
}
