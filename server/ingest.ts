import { digest } from "#batch/digest.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import type { JsonRequest } from "#batch/json/json-request.ts";
import { readSequence } from "#batch/read-sequence.ts";
import { type ScannedBatch, scan } from "#batch/scan.ts";
import type { StreamAppender } from "#stream/append.ts";
import { StreamFullError, StreamUnavailableError } from "#stream/errors.ts";
import { UnpackerFullError } from "./decompressor.ts";
import type { IntakeMetrics } from "./ingest-metrics.ts";
import { invalidArgument, type Refusal, resourceExhausted, unavailable, type Verdict } from "./outcome.ts";
import { readRequestSequence, unwrapRequest } from "./unwrap-request.ts";

/**
 * Takes batches in: looks at the bytes, puts them into the stream, says what became of them. Both faces of the server
 * end here, and it knows neither.
 *
 * It opens when Redis is there and keeps what it is given (see RedisWatch), and refuses everything until then.
 */
export class Intake {
  readonly #appender: Pick<StreamAppender, "append">;
  readonly #metrics: IntakeMetrics;
  /** For senders without a session: `~` cannot begin a device's own, and no two processes share the rest. */
  readonly #ownSession = `~${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  #ownSequence = 0n;
  #closedBecause: string | undefined = "the server is starting";
  #holdingBecause: string | undefined;

  constructor(appender: Pick<StreamAppender, "append">, metrics: IntakeMetrics) {
    this.#appender = appender;
    this.#metrics = metrics;
  }

  open(): void {
    this.#closedBecause = undefined;
  }

  close(reason: string): void {
    this.#closedBecause = reason;
  }

  /** Too much is waiting: batches are refused with the wish to come later, until this is called with undefined. */
  hold(reason: string | undefined): void {
    this.#holdingBecause = reason;
  }

  /** Takes in the batch of an encoded PushLogsRequest or StreamLogsRequest, which have the same form. */
  acceptRequest(request: Uint8Array): Promise<Verdict> {
    return this.#take(
      () => unwrapRequest(request),
      () => readRequestSequence(request),
    );
  }

  /** Takes in an encoded LogBatch. Empty counts as missing. Never rejects; resolves once Redis answered. */
  accept(batch: Uint8Array): Promise<Verdict> {
    return this.#take(
      () => batch,
      () => readSequence(batch),
    );
  }

  /** Takes in the batch of a request that came as JSON. */
  acceptJson({ batch, error, sequence, unknownFields, replacedHalves }: JsonRequest): Promise<Verdict> {
    this.#metrics.json(unknownFields, replacedHalves);
    return this.#take(
      () => {
        if (error !== undefined) throw error;
        return batch ?? new Uint8Array();
      },
      () => sequence,
    );
  }

  /** `sequenceOf` is asked only for a batch that is refused. */
  async #take(readBatch: () => Uint8Array, sequenceOf: () => bigint): Promise<Verdict> {
    const startedAt = performance.now();
    let batch: Uint8Array;
    let scanned: ScannedBatch;
    try {
      batch = readBatch();
      if (batch.length === 0) throw new InvalidBatchError("batch", "is missing");
      scanned = scan(batch);
    } catch (error) {
      if (!(error instanceof InvalidBatchError)) throw error;
      return this.#refuse(sequenceOf(), refusalOf(error));
    }
    if (this.#closedBecause !== undefined) {
      return this.#refuse(scanned.sequence, later(unavailable, this.#closedBecause));
    }
    if (this.#holdingBecause !== undefined) {
      return this.#refuse(scanned.sequence, later(resourceExhausted, this.#holdingBecause));
    }

    const done = this.#metrics.appending(batch.length);
    try {
      await this.#appender.append({ ...this.#identity(scanned), digest: digest(scanned), batch });
    } catch (error) {
      return this.#refuse(scanned.sequence, refusalOf(error));
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

  #refuse(sequence: bigint, refusal: Refusal): Verdict {
    this.#metrics.refused(refusal.code);
    return { sequence, accepted: 0, rejections: [], refusal };
  }
}

/** A refusal for what a batch, or Redis, is at fault for; throws what is neither. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof InvalidBatchError) {
    return { code: invalidArgument, field: error.field, message: error.message, retryDelayMs: 0 };
  }
  if (error instanceof StreamFullError || error instanceof UnpackerFullError)
    return later(resourceExhausted, error.message);
  if (error instanceof StreamUnavailableError) return later(unavailable, error.message);
  throw error;
}

/** With jitter, so that devices refused together do not return together. */
export function later(code: typeof resourceExhausted | typeof unavailable, message: string): Refusal {
  return { code, field: "", message, retryDelayMs: Math.round(1_000 + Math.random() * 2_000) };
}
