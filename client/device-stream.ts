import { randomBytes } from "node:crypto";
import { type Client, status } from "@grpc/grpc-js";
import { openChannel } from "#client/channel.ts";
import { Connection, type ConnectionEnd } from "#client/connection.ts";
import { DeviceStreamError } from "#client/device-stream-error.ts";
import type { DeviceStreamEvents, DeviceStreamOptions } from "#client/device-stream-options.ts";
import { type KeptBatch, KeptBatches, type SentBatch } from "#client/kept-batches.ts";
import { Pause } from "#client/pause.ts";
import { encodeRequest } from "#client/record.ts";
import { type Backoff, backoffMs } from "#lib/backoff.ts";
import { withDeadline } from "#lib/deadline.ts";
import type { Ack, BatchError } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

export type { SentBatch } from "#client/kept-batches.ts";

/**
 * The device's half of the promise: a batch is numbered and encoded once, kept until it has a verdict, and sent
 * again with the same bytes whenever that is in doubt, so that the server can tell a retry from a new batch.
 *
 *   kept = every batch without a verdict, by sequence ⊇ unsent = those not yet written on this connection
 *
 *   send ──▶ kept, unsent ──write──▶ under way ──ack───────────────▶ forgotten (acknowledged)
 *                  ▲                     ├───────error 3───────────▶ forgotten (refused)
 *                  ├──pause, in order────┼───────error 8, 14
 *                  └──backoff, in order──┴───────connection ended: all that is kept is unsent again
 *
 * Nothing is written during a pause. A connection is opened when there is something to write, so a stream that
 * ends while nothing is kept (GOAWAY on an idle connection, a reload) goes unnoticed. Any verdict is progress and
 * resets the backoff; without progress for `giveUpAfterMs` everything waiting is rejected.
 */
export class DeviceStream<Note = undefined> {
  readonly sessionId: string;
  readonly #deviceId: string;
  readonly #client: Client;
  readonly #ownsClient: boolean;
  readonly #events: DeviceStreamEvents<Note>;
  readonly #bounds: { batchesMax: number; bytesMax: number };
  readonly #times: { ackTimeoutMs: number; giveUpAfterMs: number; backoff: Backoff };

  readonly #kept = new KeptBatches<Note>();
  #sequence = 0n;
  #connection: Connection<KeptBatch<Note>> | undefined;
  readonly #pause = new Pause(() => this.#pump());
  #failedAttempts = 0;
  #progressAt = performance.now();
  #failure: DeviceStreamError<Note> | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(options: DeviceStreamOptions<Note>) {
    this.sessionId = options.sessionId ?? randomBytes(8).toString("hex");
    this.#deviceId = options.deviceId;
    this.#events = options;
    this.#bounds = {
      batchesMax: options.inFlightBatchesMax ?? 32,
      bytesMax: options.inFlightBytesMax ?? 4 * 1024 * 1024,
    };
    this.#times = {
      ackTimeoutMs: options.ackTimeoutMs ?? 30_000,
      giveUpAfterMs: options.giveUpAfterMs ?? 300_000,
      backoff: options.backoff ?? { baseMs: 100, capMs: 5_000 },
    };
    this.#client = options.channel ?? openChannel(options.address, options.credentials);
    this.#ownsClient = !options.channel;
  }

  /** The batches that have no verdict yet, by sequence. */
  get unacknowledged(): readonly SentBatch<Note>[] {
    return this.#kept.all;
  }

  /**
   * Gives the batch the next number and keeps it; resolves when there is room for another, which is the
   * backpressure: await it before the next call. `records` come from `encodeRecord`, 1 to 10,000 of them, at most
   * 1 MiB together. Rejects with {@link DeviceStreamError} once the stream has failed or is closed.
   */
  async send(records: readonly Uint8Array[], note: Note): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#kept.count >= 2 * this.#bounds.batchesMax) {
      throw new Error(`${this.#kept.count} batches are waiting already: await send() before the next call`);
    }
    const { sessionId } = this;
    const sequence = ++this.#sequence;
    const request = encodeRequest({ deviceId: this.#deviceId, sessionId, sequence }, records);
    if (this.#kept.count === 0) this.#progressAt = performance.now();
    this.#kept.add({ sequence, recordCount: records.length, note, request });
    this.#pump();
    await this.#until(() => this.#hasRoom());
  }

  /** Resolves when every batch has its verdict; with `deadlineMs`, rejects with DeadlineError beyond it. */
  async flush(deadlineMs?: number): Promise<void> {
    const flushed = this.#until(() => this.#kept.count === 0);
    if (deadlineMs === undefined) await flushed;
    else await withDeadline(`acknowledgement of ${this.#kept.count} batches`, deadlineMs, flushed);
  }

  /** Ends the stream and the connection. What has no verdict is dropped: `flush()` first. */
  close(): void {
    this.#end("the stream is closed");
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #hasRoom(): boolean {
    return this.#kept.count < this.#bounds.batchesMax && this.#kept.bytes < this.#bounds.bytesMax;
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#failure) throw this.#failure;
      await this.#changed.promise;
    }
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Writes what is unsent, as far as the bounds of what is under way allow. */
  #pump(): void {
    if (this.#failure || this.#pause.isOn) return;
    for (let batch = this.#kept.nextUnsent; batch !== undefined; batch = this.#kept.nextUnsent) {
      this.#connection ??= this.#connect();
      const { awaitingCount, awaitingBytes } = this.#connection;
      if (awaitingCount >= this.#bounds.batchesMax || awaitingBytes >= this.#bounds.bytesMax) return;
      this.#kept.written();
      this.#connection.write(batch);
    }
  }

  #connect(): Connection<KeptBatch<Note>> {
    return new Connection<KeptBatch<Note>>(this.#client, {
      ackTimeoutMs: this.#times.ackTimeoutMs,
      onAck: (batch, ack) => this.#onAck(batch, ack),
      onEnd: (end) => this.#onEnd(end),
    });
  }

  #onAck(batch: KeptBatch<Note>, ack: Ack): void {
    if (this.#failure) return;
    const { error } = ack;
    if (error?.code === status.RESOURCE_EXHAUSTED || error?.code === status.UNAVAILABLE) {
      this.#retry(batch, error);
      return;
    }
    this.#kept.forget(batch);
    this.#failedAttempts = 0;
    this.#progressAt = performance.now();
    if (error) this.#events.onRefused?.(batch, error);
    else this.#events.onAcknowledged?.(batch, ack);
    this.#notify();
    this.#pump();
  }

  /** The server wants this batch later; those behind it have answers of their own. */
  #retry(batch: KeptBatch<Note>, error: BatchError): void {
    const { backoff } = this.#times;
    if (this.#hasGivenUp(error.message)) return;
    this.#kept.writeAgain(batch);
    if (!this.#pause.isOn) this.#failedAttempts++;
    const wanted = error.retryDelayMs || backoffMs(this.#failedAttempts, backoff);
    this.#pause.atLeast(Math.min(wanted, retryDelayMsMax));
    this.#events.onDelayed?.(batch, error);
  }

  #onEnd(end: ConnectionEnd): void {
    this.#connection = undefined;
    if (this.#failure || this.#kept.count === 0) return;
    this.#kept.writeAllAgain();
    if (finalStatuses.has(end.code)) {
      this.#fail(`the server refuses the stream: ${status[end.code]}: ${end.reason}`);
      return;
    }
    if (this.#hasGivenUp(end.reason)) return;
    const attempt = ++this.#failedAttempts;
    const delayMs = backoffMs(attempt, this.#times.backoff);
    this.#pause.atLeast(delayMs);
    this.#events.onReconnect?.({ attempt, delayMs, reason: end.reason });
  }

  #hasGivenUp(reason: string): boolean {
    const withoutProgressMs = performance.now() - this.#progressAt;
    if (withoutProgressMs < this.#times.giveUpAfterMs) return false;
    this.#fail(`nothing was acknowledged for ${Math.round(withoutProgressMs / 1_000)} s: ${reason}`);
    return true;
  }

  #fail(message: string): void {
    const failure = this.#end(message);
    if (failure) this.#events.onFailed?.(failure);
  }

  #end(message: string): DeviceStreamError<Note> | undefined {
    if (this.#failure) return undefined;
    const failure = new DeviceStreamError(message, this.#kept.all);
    this.#failure = failure;
    this.#pause.cancel();
    if (this.#kept.count === 0) this.#connection?.end();
    else this.#connection?.cancel(message);
    if (this.#ownsClient) this.#client.close();
    this.#notify();
    return failure;
  }
}

/** Longer than any sensible wish of a server, so that a wrong one cannot silence a device. */
const retryDelayMsMax = 60_000;

/** Trying again ends the same way until somebody changes something. */
const finalStatuses: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.UNIMPLEMENTED,
]);
