import { status } from "@grpc/grpc-js";
import { CommitTracker } from "#client/stream/commit-tracker.ts";
import type { DeviceStreamEvents, Settings } from "#client/stream/device-stream-options.ts";
import type { KeptBatch, KeptBatches } from "#client/stream/kept-batches.ts";
import { Pause } from "#client/stream/pause.ts";
import { encodeDrop } from "#client/stream/record.ts";
import type { Link, LinkEnd, SessionKey, Transport } from "#client/transports/transport.ts";
import { fullJitterMs } from "#lib/backoff.ts";
import type { Ack, BatchError, Progress } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

export interface DeliveryOptions<Note> {
  readonly session: SessionKey;
  readonly kept: KeptBatches<Note>;
  readonly transport: Transport;
  readonly settings: Settings;
  readonly events: DeviceStreamEvents<Note>;
  /** Fewer batches are kept than before, or {@link Delivery.failure} is set. */
  readonly onChange: () => void;
}

/**
 * Brings the batches that are kept of one session to the server, and each to its end:
 *
 *   unsent ──write──▶ under way ──ack───────────────▶ settled, or accepted until it is committed: see CommitTracker
 *      ▲                  ├───────error 3───────────▶ settled: its number is declared as dropped
 *      ├──pause, in order─┼───────error 8, 14, or another that may pass
 *      └──backoff, in order───────link ended: all that was under way is unsent again
 *
 * Nothing is written during a pause. A link is opened when there is something to write or to hear, so one that ends while
 * nothing is kept (GOAWAY on an idle connection, a reload, an old stream) goes unnoticed. Any verdict is progress and
 * resets the backoff; without progress for `giveUpAfterMs` it fails, and what is kept stays kept.
 */
export class Delivery<Note> {
  readonly #options: DeliveryOptions<Note>;
  readonly #commits: CommitTracker<Note> | undefined;
  /** What is sent again after its ack, until it is committed, is not told of twice. */
  readonly #acknowledged = new WeakSet<KeptBatch<Note>>();
  #link: Link<KeptBatch<Note>> | undefined;
  readonly #pause = new Pause(() => this.pump());
  #failedAttempts = 0;
  #progressAt = performance.now();
  /** Why nothing more is delivered. */
  failure: string | undefined;

  constructor(options: DeliveryOptions<Note>) {
    this.#options = options;
    const { kept, session, transport, settings, events } = options;
    if (!settings.keepUntilCommitted) return;
    this.#commits = new CommitTracker({
      kept,
      pollMs: transport.reportsProgress ? settings.commitTimeoutMs : settings.commitPollMs,
      doubtPollMs: settings.commitPollMs,
      timeoutMs: settings.commitTimeoutMs,
      getSession: () => transport.getSession(session, settings.ackTimeoutMs),
      onCommitted: (batch) => {
        if (batch.droppedUntil === undefined) events.onCommitted?.(batch);
      },
      onChange: () => {
        options.onChange();
        this.pump();
      },
    });
  }

  /** Time without anything to deliver is no time without progress: to be called when the first batch is kept. */
  begin(): void {
    this.#progressAt = performance.now();
  }

  /** Writes what is unsent, as far as the bounds of what is under way allow. */
  pump(): void {
    if (this.failure !== undefined || this.#pause.isOn) return;
    const { kept, settings } = this.#options;
    try {
      for (let batch = kept.nextUnsent; batch !== undefined; batch = kept.nextUnsent) {
        this.#link ??= this.#open();
        const { awaitingCount, awaitingBytes } = this.#link;
        if (awaitingCount >= settings.inFlightBatchesMax || awaitingBytes >= settings.inFlightBytesMax)
          return;
        kept.written();
        this.#link.write(batch);
      }
    } catch (error) {
      this.fail(`a batch cannot be read or written: ${(error as Error).message}`);
      return;
    }
    if (kept.acceptedCount > 0) this.#link ??= this.#open(); // to hear what is committed
  }

  fail(reason: string): void {
    if (this.failure !== undefined) return;
    this.failure = reason;
    this.#pause.cancel();
    this.#commits?.close();
    if (this.#options.kept.count === 0) this.#link?.end();
    else this.#link?.cancel(reason);
    this.#options.onChange();
  }

  #open(): Link<KeptBatch<Note>> {
    const { session, transport, settings } = this.#options;
    this.#commits?.connecting();
    return transport.open<KeptBatch<Note>>({
      ackTimeoutMs: settings.ackTimeoutMs,
      reportCommitted: this.#commits && session,
      onAck: (batch, ack) => this.#onAck(batch, ack),
      onProgress: (progress) => this.#onProgress(progress),
      onEnd: (end) => this.#onEnd(end),
    });
  }

  #onAck(batch: KeptBatch<Note>, ack: Ack): void {
    if (this.failure !== undefined) return;
    const { onChange } = this.#options;
    const { error } = ack;
    if (error && !finalStatuses.has(error.code)) {
      this.#retry(batch, error);
      return;
    }
    this.#failedAttempts = 0;
    this.#progressAt = performance.now();
    try {
      this.#settle(batch, ack);
    } catch (failure) {
      this.fail(`a batch cannot be settled: ${(failure as Error).message}`);
      return;
    }
    onChange();
    this.pump();
  }

  #settle(batch: KeptBatch<Note>, ack: Ack): void {
    const { kept, events } = this.#options;
    // Of a declaration the caller has heard already, when its batches were refused or given up.
    const isDeclaration = batch.droppedUntil !== undefined;
    if (ack.error) {
      if (isDeclaration) kept.forget(batch);
      else this.#declareRefused(batch, ack.error);
      if (!isDeclaration) events.onRefused?.(batch, ack.error);
      return;
    }
    if (!this.#commits) kept.forget(batch);
    if (!isDeclaration && !this.#acknowledged.has(batch)) events.onAcknowledged?.(batch, ack);
    if (!this.#commits) return;
    this.#acknowledged.add(batch);
    this.#commits.accept(batch);
  }

  /** So that nobody takes its number for one that is still to come. */
  #declareRefused(batch: KeptBatch<Note>, { message }: BatchError): void {
    const { kept, session } = this.#options;
    const { sequence } = batch;
    const request = encodeDrop({ ...session, sequence }, sequence, `refused: ${message}`);
    kept.replace([batch], { ...batch, request, byteLength: request.byteLength, droppedUntil: sequence });
  }

  #onProgress(progress: Progress): void {
    if (this.failure !== undefined) return;
    this.#failedAttempts = 0;
    this.#commits?.receive(progress);
  }

  /** The server wants this batch later; those behind it have answers of their own. */
  #retry(batch: KeptBatch<Note>, error: BatchError): void {
    const { kept, settings, events } = this.#options;
    kept.writeAgain(batch);
    if (this.#hasGivenUp(error.message)) return;
    if (!this.#pause.isOn) this.#failedAttempts++;
    const wanted = error.retryDelayMs || fullJitterMs(this.#failedAttempts, settings.backoff);
    this.#pause.atLeast(Math.min(wanted, retryDelayMsMax));
    events.onDelayed?.(batch, error);
  }

  #onEnd(end: LinkEnd): void {
    this.#link = undefined;
    const { kept, settings, events } = this.#options;
    if (this.failure !== undefined || kept.count === 0) return;
    kept.writeAllAgain();
    // An old stream, or a server that goes, ended one on which everything had its answer.
    const isQuiet = kept.acceptedCount === kept.count && this.#failedAttempts === 0;
    if (isQuiet) this.#progressAt = performance.now();
    if (finalStatuses.has(end.code)) {
      this.fail(`the server refuses the stream: ${status[end.code]}: ${end.reason}`);
      return;
    }
    if (this.#hasGivenUp(end.reason)) return;
    const attempt = ++this.#failedAttempts;
    const wanted = end.retryDelayMs ?? fullJitterMs(attempt, settings.backoff);
    const delayMs = Math.min(Math.round(wanted), retryDelayMsMax);
    this.#pause.atLeast(delayMs);
    if (!isQuiet) events.onReconnect?.({ attempt, delayMs, reason: end.reason });
  }

  #hasGivenUp(reason: string): boolean {
    const withoutProgressMs = performance.now() - this.#progressAt;
    if (withoutProgressMs < this.#options.settings.giveUpAfterMs) return false;
    this.fail(`no batch was acknowledged for ${Math.round(withoutProgressMs / 1_000)} s: ${reason}`);
    return true;
  }
}

/** Longer than any sensible wish of a server, so that a wrong one cannot silence a device. */
const retryDelayMsMax = 60_000;

/** Trying again ends the same way until somebody changes something. */
const finalStatuses: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.UNIMPLEMENTED,
]);
