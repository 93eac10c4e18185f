import { contentIdentity } from "#batch/content-identity.ts";
import { digest } from "#batch/digest.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import type { JsonRequest } from "#batch/json/json-request.ts";
import { readSequence } from "#batch/read-sequence.ts";
import { type ScannedBatch, type ScanOptions, scan } from "#batch/scan.ts";
import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { StreamAppender } from "#stream/append.ts";
import type { Entry } from "#stream/entry.ts";
import { StreamFullError, StreamUnavailableError } from "#stream/errors.ts";
import { SlowBodyError } from "./connect/slow-body.ts";
import { DecompressorFullError } from "./decompressor.ts";
import type { IngestMetrics } from "./ingest-metrics.ts";
import type { Outcome, Refusal } from "./outcome.ts";
import { type BatchRequest, noOptions, readRequestSequence, unwrapRequest } from "./unwrap-request.ts";

/**
 * Validates a batch, appends it to the stream and returns the outcome. Every transport of the server ends here.
 *
 * It opens when Redis is available and durable (see RedisWatch), and refuses every batch until then.
 */
export class Ingest {
  readonly #appender: Pick<StreamAppender, "append">;
  readonly #metrics: IngestMetrics;
  readonly #scanOptions: ScanOptions;
  /** The session of senders without one: no device's session starts with `~`, and no two processes share the rest. */
  readonly #ownSession = `~${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  #ownSequence = 0n;
  #closedBecause: string | undefined = "the server is starting";
  #holdingBecause: string | undefined;

  constructor(
    appender: Pick<StreamAppender, "append">,
    metrics: IngestMetrics,
    scanOptions: ScanOptions = {},
  ) {
    this.#appender = appender;
    this.#metrics = metrics;
    this.#scanOptions = scanOptions;
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
  accept(batch: Uint8Array, options = noOptions): Promise<Outcome> {
    return this.#receive(
      () => ({ ...options, batch }),
      () => readSequence(batch),
    );
  }

  /**
   * Accepts a LogBatch without session that was made of another format. Where only a retry has the same content
   * (`isUnique`), its digest names it, so that the ledger recognises the retry at any server.
   *
   * The rest of a request that is stored in part (`isBegun`) is not held back: its sender would repeat all of it.
   */
  acceptTranscoded(batch: Uint8Array, isUnique: boolean, isBegun: boolean): Promise<Outcome> {
    return this.#receive(
      () => ({ ...noOptions, batch }),
      () => 0n,
      { isUnique, isBegun },
    );
  }

  /** Accepts the batch of a JSON request. */
  acceptJson(request: JsonRequest): Promise<Outcome> {
    const { batch = new Uint8Array(), error, uptimeNano, rejectionsMax } = request;
    this.#metrics.json(request.unknownFields, request.replacedHalves);
    return this.#receive(
      () => {
        if (error !== undefined) throw error;
        return { batch, uptimeNano, rejectionsMax };
      },
      () => request.sequence,
    );
  }

  /** `toSequence` is called only for a batch that is refused. */
  async #receive(
    read: () => BatchRequest,
    toSequence: () => bigint,
    { isUnique = false, isBegun = false } = {},
  ): Promise<Outcome> {
    const startedAt = performance.now();
    let request: BatchRequest;
    let scanned: ScannedBatch;
    try {
      request = read();
      const { batch } = request;
      if (batch.length === 0) throw new InvalidBatchError("batch", "is missing");
      scanned = scan(batch, this.#scanOptions);
    } catch (error) {
      if (!(error instanceof InvalidBatchError)) throw error;
      return this.#refuse(toSequence(), toRefusal(error));
    }
    if (this.#closedBecause !== undefined) {
      return this.#refuse(scanned.sequence, retryLater(BatchErrorCode.UNAVAILABLE, this.#closedBecause));
    }
    if (this.#holdingBecause !== undefined && !isBegun) {
      return this.#refuse(
        scanned.sequence,
        retryLater(BatchErrorCode.RESOURCE_EXHAUSTED, this.#holdingBecause),
      );
    }

    const { batch, rejectionsMax } = request;
    const receivedAtMicros = Date.now() * 1000;
    const content = digest(scanned);
    const entry: Entry = {
      ...(isUnique ? { deviceId: scanned.deviceId, ...contentIdentity(content) } : this.#identity(scanned)),
      receivedAtMicros,
      bootedAtMicros: toBootTime(receivedAtMicros, request.uptimeNano),
      ...this.#scanOptions,
      digest: content,
      batch,
    };
    const done = this.#metrics.appending(batch.length);
    try {
      await this.#appender.append(entry);
    } catch (error) {
      return this.#refuse(scanned.sequence, toRefusal(error));
    } finally {
      done((performance.now() - startedAt) / 1000);
    }
    this.#metrics.accepted(scanned.acceptedCount, scanned.rejections.length);
    return {
      sequence: entry.sequence,
      ...(scanned.sessionId === "" && { assignedSession: entry.sessionId }),
      accepted: scanned.acceptedCount,
      rejections: scanned.rejections,
      rejectionsMax,
    };
  }

  #identity({ deviceId, sessionId, sequence }: ScannedBatch) {
    if (sessionId !== "") return { deviceId, sessionId, sequence };
    this.#ownSequence += 1n;
    return { deviceId, sessionId: this.#ownSession, sequence: this.#ownSequence };
  }

  #refuse(sequence: bigint, refusal: Refusal): Outcome {
    this.#metrics.refused(refusal.code);
    return { sequence, accepted: 0, rejections: [], refusal };
  }
}

/** Undefined for a request without an uptime, and for one that cannot be: the device would have booted before 1970. */
function toBootTime(receivedAtMicros: number, uptimeNano: bigint): number | undefined {
  if (uptimeNano === 0n) return undefined;
  const micros = receivedAtMicros - Number(uptimeNano / 1000n);
  return micros < 0 ? undefined : micros;
}

/** The refusal for an invalid batch or an unavailable Redis; rethrows any other error. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof InvalidBatchError) {
    return {
      code: BatchErrorCode.INVALID_ARGUMENT,
      field: error.field,
      message: error.message,
      retryDelayMs: 0,
    };
  }
  if (error instanceof StreamFullError || error instanceof DecompressorFullError)
    return retryLater(BatchErrorCode.RESOURCE_EXHAUSTED, error.message);
  if (error instanceof StreamUnavailableError || error instanceof SlowBodyError)
    return retryLater(BatchErrorCode.UNAVAILABLE, error.message);
  throw error;
}

/** With jitter, so that devices refused together do not return together. */
export function retryLater(
  code: typeof BatchErrorCode.RESOURCE_EXHAUSTED | typeof BatchErrorCode.UNAVAILABLE,
  message: string,
): Refusal {
  return { code, field: "", message, retryDelayMs: Math.round(1_000 + Math.random() * 2_000) };
}
