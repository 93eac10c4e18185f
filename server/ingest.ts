import { digest } from "#batch/digest.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import type { JsonRequest } from "#batch/json/json-request.ts";
import { readSequence } from "#batch/read-sequence.ts";
import { type ScannedBatch, scan } from "#batch/scan.ts";
import type { StreamAppender } from "#stream/append.ts";
import { StreamFullError, StreamUnavailableError } from "#stream/errors.ts";
import { DecompressorFullError } from "./decompressor.ts";
import type { IngestMetrics } from "./ingest-metrics.ts";
import { invalidArgument, type Outcome, type Refusal, resourceExhausted, unavailable } from "./outcome.ts";
import { readRequestSequence, unwrapRequest } from "./unwrap-request.ts";

/**
 * Validates a batch, appends it to the stream and returns the outcome. Every transport of the server ends here.
 *
 * It opens when Redis is available and durable (see RedisWatch), and refuses every batch until then.
 */
export class Ingest {
  readonly #appender: Pick<StreamAppender, "append">;
  readonly #metrics: IngestMetrics;
  /** The session of senders without one: no device's session starts with `~`, and no two processes share the rest. */
  readonly #ownSession = `~${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  #ownSequence = 0n;
  #closedBecause: string | undefined = "the server is starting";
  #holdingBecause: string | undefined;

  constructor(appender: Pick<StreamAppender, "append">, metrics: IngestMetrics) {
    this.#appender = appender;
    this.#metrics = metrics;
  }

  open(): void {
    this.#closedBecause = undefined;
  }

  close(reason: string): void {
    this.#closedBecause = reason;
  }

  /** Refuses batches with RESOURCE_EXHAUSTED and this reason, until called with undefined. */
  hold(reason: string | undefined): void {
    this.#holdingBecause = reason;
  }

  /** Accepts an encoded PushLogsRequest or StreamLogsRequest; both have the same form. */
  acceptRequest(request: Uint8Array): Promise<Outcome> {
    return this.#receive(
      () => unwrapRequest(request),
      () => readRequestSequence(request),
    );
  }

  /** Accepts an encoded LogBatch; empty counts as missing. Never rejects; resolves once Redis answered. */
  accept(batch: Uint8Array): Promise<Outcome> {
    return this.#receive(
      () => batch,
      () => readSequence(batch),
    );
  }

  /** Accepts the batch of a JSON request. */
  acceptJson({ batch, error, sequence, unknownFields, replacedHalves }: JsonRequest): Promise<Outcome> {
    this.#metrics.json(unknownFields, replacedHalves);
    return this.#receive(
      () => {
        if (error !== undefined) throw error;
        return batch ?? new Uint8Array();
      },
      () => sequence,
    );
  }

  /** `toSequence` is called only for a batch that is refused. */
  async #receive(readBatch: () => Uint8Array, toSequence: () => bigint): Promise<Outcome> {
    const startedAt = performance.now();
    let batch: Uint8Array;
    let scanned: ScannedBatch;
    try {
      batch = readBatch();
      if (batch.length === 0) throw new InvalidBatchError("batch", "is missing");
      scanned = scan(batch);
    } catch (error) {
      if (!(error instanceof InvalidBatchError)) throw error;
      return this.#refuse(toSequence(), toRefusal(error));
    }
    if (this.#closedBecause !== undefined) {
      return this.#refuse(scanned.sequence, retryLater(unavailable, this.#closedBecause));
    }
    if (this.#holdingBecause !== undefined) {
      return this.#refuse(scanned.sequence, retryLater(resourceExhausted, this.#holdingBecause));
    }

    const done = this.#metrics.appending(batch.length);
    try {
      await this.#appender.append({ ...this.#identity(scanned), digest: digest(scanned), batch });
    } catch (error) {
      return this.#refuse(scanned.sequence, toRefusal(error));
    } finally {
      done((performance.now() - startedAt) / 1000);
    }
    this.#metrics.accepted(scanned.acceptedCount, scanned.rejections.length);
    return {
      sequence: scanned.sequence,
      accepted: scanned.acceptedCount,
      rejections: scanned.rejections,
    };
  }

  #identity({ deviceId, sessionId, sequence }: ScannedBatch) {
    const receivedAtMicros = Date.now() * 1000;
    if (sessionId !== "") return { deviceId, sessionId, sequence, receivedAtMicros };
    this.#ownSequence += 1n;
    return { deviceId, sessionId: this.#ownSession, sequence: this.#ownSequence, receivedAtMicros };
  }

  #refuse(sequence: bigint, refusal: Refusal): Outcome {
    this.#metrics.refused(refusal.code);
    return { sequence, accepted: 0, rejections: [], refusal };
  }
}

/** The refusal for an invalid batch or an unavailable Redis; rethrows any other error. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof InvalidBatchError) {
    return { code: invalidArgument, field: error.field, message: error.message, retryDelayMs: 0 };
  }
  if (error instanceof StreamFullError || error instanceof DecompressorFullError)
    return retryLater(resourceExhausted, error.message);
  if (error instanceof StreamUnavailableError) return retryLater(unavailable, error.message);
  throw error;
}

/** With jitter, so that devices refused together do not return together. */
export function retryLater(code: typeof resourceExhausted | typeof unavailable, message: string): Refusal {
  return { code, field: "", message, retryDelayMs: Math.round(1_000 + Math.random() * 2_000) };
}
