import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { retryDelayMs } from "#client/transports/retry-info.ts";
import type { Link, LinkOptions, Sendable } from "#client/transports/transport.ts";
import { type Ack, AckSchema, type BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { BadRequestSchema, RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";

/** Makes one call; rejects with a ConnectError. */
export type Push<Batch> = (batch: Batch, signal: AbortSignal) => Promise<Ack | undefined>;

/**
 * A link over unary calls, one per batch: at most `callsMax` at once, started in the order in which
 * batches are written. An error about the batch becomes its ack; any other error ends the link.
 */
export class ConnectLink<Batch extends Sendable> implements Link<Batch> {
  readonly #options: LinkOptions<Batch>;
  readonly #callsMax: number;
  readonly #push: Push<Batch>;
  readonly #queue: Batch[] = [];
  readonly #aborted = new AbortController();
  #calls = 0;
  #ended = false;
  inFlightBytes = 0;

  constructor(options: LinkOptions<Batch>, callsMax: number, push: Push<Batch>) {
    this.#options = options;
    this.#callsMax = callsMax;
    this.#push = push;
  }

  get inFlightCount(): number {
    return this.#queue.length + this.#calls;
  }

  write(batch: Batch): void {
    this.#queue.push(batch);
    this.inFlightBytes += batch.byteLength;
    this.#callNext();
  }

  /** Nothing to do: every call ends on its own. */
  end(): void {}

  cancel(reason: string): void {
    this.#end(Code.Unavailable, reason);
  }

  #callNext(): void {
    while (!this.#ended && this.#calls < this.#callsMax) {
      const batch = this.#queue.shift();
      if (!batch) return;
      this.#calls++;
      void this.#call(batch);
    }
  }

  async #call(batch: Batch): Promise<void> {
    let ack: Ack | undefined;
    try {
      ack = await this.#push(batch, this.#aborted.signal);
    } catch (error) {
      const failure = ConnectError.from(error);
      ack = toErrorAck(batch, failure);
      if (!ack) {
        this.#end(failure.code, failure.rawMessage || failure.message, readRetryDelayMs(failure));
        return;
      }
    }
    if (this.#ended) return;
    if (ack?.sequence !== batch.sequence) {
      this.#end(
        Code.Unavailable,
        `the server acknowledged batch ${ack?.sequence}, expected ${batch.sequence}`,
      );
      return;
    }
    this.#calls--;
    this.inFlightBytes -= batch.byteLength;
    this.#options.onAck(batch, ack);
    this.#callNext();
  }

  #end(code: Code, reason: string, retryDelayMs?: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#aborted.abort();
    this.#options.onEnd({ code, reason, retryDelayMs });
  }
}

/**
 * Converts the error to the Ack that a stream would have sent; undefined when the error is not about the
 * batch.
 */
function toErrorAck({ sequence }: Sendable, failure: ConnectError): Ack | undefined {
  const delayMs = readRetryDelayMs(failure);
  const isFinal = failure.code === Code.InvalidArgument;
  const isRetryable = failure.code === Code.ResourceExhausted || failure.code === Code.Unavailable;
  if (!isFinal && !(isRetryable && delayMs !== undefined)) return undefined;
  const [badRequest] = failure.findDetails(BadRequestSchema);
  const field = badRequest?.fieldViolations[0]?.field ?? "";
  const waitMs = isFinal ? 0 : Math.min(Math.ceil(delayMs ?? 0), uint32Max);
  const error = {
    code: failure.code as number as BatchErrorCode,
    field,
    message: failure.rawMessage,
    retryDelayMs: waitMs,
  };
  return create(AckSchema, { sequence, error });
}

const uint32Max = 2 ** 32 - 1;

function readRetryDelayMs(failure: ConnectError): number | undefined {
  return retryDelayMs(failure.findDetails(RetryInfoSchema)[0]);
}
