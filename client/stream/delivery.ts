import { status } from "@grpc/grpc-js";
import { CommitTracker } from "#client/stream/commit-tracker.ts";
import type { DeviceStreamEvents, Settings } from "#client/stream/device-stream-options.ts";
import { Pause } from "#client/stream/pause.ts";
import type { PendingBatch, PendingBatches } from "#client/stream/pending-batches.ts";
import { encodeDroppedBatches } from "#client/stream/record.ts";
import type { Link, LinkEnd, SessionKey, Transport } from "#client/transports/transport.ts";
import { fullJitterMs } from "#lib/backoff.ts";
import type { Ack, BatchError, Progress } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

export interface DeliveryOptions<Note> {
  readonly session: SessionKey;
  readonly pending: PendingBatches<Note>;
  readonly transport: Transport;
  readonly settings: Settings;
  readonly events: DeviceStreamEvents<Note>;
  /** What every request has behind its batch. */
  readonly encodeOptions: () => Uint8Array;
  /** Fewer batches are pending than before, or {@link Delivery.failure} is set. */
  readonly onChange: () => void;
}

/**
 * Delivers the pending batches of one session and settles each:
 *
 *   unsent ──write──▶ in flight ──ack───────────────▶ settled, or accepted until it is committed: see CommitTracker
 *      ▲                  ├───────error 3───────────▶ settled: its number is declared as dropped
 *      ├──pause, in order─┼───────error 8, 14, or another transient one
 *      └──backoff, in order───────link ended: every batch in flight is unsent again
 *
 * Nothing is written during a pause. A link is opened only to write a batch or to receive progress, so a
 * link that ends while nothing is pending (GOAWAY on an idle connection, a reload, an old stream) goes
 * unnoticed. Any final outcome is progress and resets the backoff; without progress for `giveUpAfterMs`
 * the delivery fails, and pending batches stay pending.
 */
export class Delivery<Note> {
  readonly #options: DeliveryOptions<Note>;
  readonly #commits: CommitTracker<Note> | undefined;
  /** Batches acknowledged once: resending one until it is committed reports no second acknowledgement. */
  readonly #acknowledged = new WeakSet<PendingBatch<Note>>();
  #link: Link<PendingBatch<Note>> | undefined;
  readonly #pause = new Pause(() => this.pump());
  #failedAttempts = 0;
  #progressAt = performance.now();
  /** The server's clock in the latest ack, and our monotonic clock when it arrived. */
  serverTime: { readonly unixNano: bigint; readonly atMs: number } | undefined;
  /** Why delivery stopped. */
  failure: string | undefined;

  constructor(options: DeliveryOptions<Note>) {
    this.#options = options;
    const { pending, session, transport, settings, events } = options;
    if (!settings.keepUntilCommitted) return;
    this.#commits = new CommitTracker({
      pending,
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

  /** Restarts the clock of `giveUpAfterMs`; call it when the first batch becomes pending. */
  begin(): void {
    this.#progressAt = performance.now();
  }

  /** Writes unsent batches up to the in-flight limits. */
  pump(): void {
    if (this.failure !== undefined || this.#pause.isOn) return;
    const { pending, settings } = this.#options;
    try {
      for (let batch = pending.nextUnsent; batch !== undefined; batch = pending.nextUnsent) {
        this.#link ??= this.#open();
        const { inFlightCount, inFlightBytes } = this.#link;
        if (inFlightCount >= settings.inFlightBatchesMax || inFlightBytes >= settings.inFlightBytesMax)
          return;
        pending.written();
        this.#link.write(batch);
      }
    } catch (error) {
      this.fail(`a batch cannot be read or written: ${(error as Error).message}`);
      return;
    }
    if (pending.acceptedCount > 0) this.#link ??= this.#open(); // to receive progress
  }

  fail(reason: string): void {
    if (this.failure !== undefined) return;
    this.failure = reason;
    this.#pause.cancel();
    this.#commits?.close();
    if (this.#options.pending.count === 0) this.#link?.end();
    else this.#link?.cancel(reason);
    this.#options.onChange();
  }

  #open(): Link<PendingBatch<Note>> {
    const { session, transport, settings, encodeOptions } = this.#options;
    this.#commits?.connecting();
    return transport.open<PendingBatch<Note>>({
      ackTimeoutMs: settings.ackTimeoutMs,
      reportCommitted: this.#commits && session,
      encodeOptions,
      onAck: (batch, ack) => this.#onAck(batch, ack),
      onProgress: (progress) => this.#onProgress(progress),
      onEnd: (end) => this.#onEnd(end),
    });
  }

  #onAck(batch: PendingBatch<Note>, ack: Ack): void {
    if (this.failure !== undefined) return;
    const { onChange } = this.#options;
    const { error, serverTimeUnixNano: unixNano } = ack;
    if (unixNano > 0n) this.serverTime = { unixNano, atMs: performance.now() };
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

  #settle(batch: PendingBatch<Note>, ack: Ack): void {
    const { pending, events } = this.#options;
    // The caller already knows about a declaration: its batches were refused or dropped.
    const isDeclaration = batch.droppedUntil !== undefined;
    if (ack.error) {
      if (isDeclaration) pending.forget(batch);
      else this.#declareRefused(batch, ack.error);
      if (!isDeclaration) events.onRefused?.(batch, ack.error);
      return;
    }
    if (!this.#commits) pending.forget(batch);
    if (!isDeclaration && !this.#acknowledged.has(batch)) events.onAcknowledged?.(batch, ack);
    if (!this.#commits) return;
    this.#acknowledged.add(batch);
    this.#commits.accept(batch);
  }

  /** So that no consumer waits for its number. */
  #declareRefused(batch: PendingBatch<Note>, { message }: BatchError): void {
    const { pending, session } = this.#options;
    const { sequence } = batch;
    const request = encodeDroppedBatches({ ...session, sequence }, sequence, `refused: ${message}`);
    pending.replace([batch], { ...batch, request, byteLength: request.byteLength, droppedUntil: sequence });
  }

  #onProgress(progress: Progress): void {
    if (this.failure !== undefined) return;
    this.#failedAttempts = 0;
    this.#commits?.receive(progress);
  }

  /** The server asks to resend this batch later; batches after it get their own acks. */
  #retry(batch: PendingBatch<Note>, error: BatchError): void {
    const { pending, settings, events } = this.#options;
    pending.writeAgain(batch);
    if (this.#hasGivenUp(error.message)) return;
    if (!this.#pause.isOn) this.#failedAttempts++;
    const requestedMs = error.retryDelayMs || fullJitterMs(this.#failedAttempts, settings.backoff);
    this.#pause.atLeast(Math.min(requestedMs, retryDelayMsMax));
    events.onDelayed?.(batch, error);
  }

  #onEnd(end: LinkEnd): void {
    this.#link = undefined;
    const { pending, settings, events } = this.#options;
    if (this.failure !== undefined || pending.count === 0) return;
    pending.writeAllAgain();
    // The server ended an idle stream, because of its age or a shutdown.
    const isQuiet = pending.acceptedCount === pending.count && this.#failedAttempts === 0;
    if (isQuiet) this.#progressAt = performance.now();
    if (finalStatuses.has(end.code)) {
      this.fail(`the server refuses the stream: ${status[end.code]}: ${end.reason}`);
      return;
    }
    if (this.#hasGivenUp(end.reason)) return;
    const attempt = ++this.#failedAttempts;
    const requestedMs = end.retryDelayMs ?? fullJitterMs(attempt, settings.backoff);
    const delayMs = Math.min(Math.round(requestedMs), retryDelayMsMax);
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

/** Above any sensible server delay, so that a wrong one cannot silence a device. */
const retryDelayMsMax = 60_000;

/** Retrying fails the same way until an operator changes something. */
const finalStatuses: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.UNIMPLEMENTED,
]);
