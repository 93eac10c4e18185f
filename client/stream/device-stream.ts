import { randomBytes } from "node:crypto";
import { Spool } from "#client/spool/spool.ts";
import { openChannel } from "#client/stream/channel.ts";
import { Delivery } from "#client/stream/delivery.ts";
import { DeviceStreamError } from "#client/stream/device-stream-error.ts";
import {
  type DeviceStreamOptions,
  readSettings,
  type Settings,
} from "#client/stream/device-stream-options.ts";
import { dropOldest } from "#client/stream/drop-oldest.ts";
import { EarlierSessions } from "#client/stream/earlier-sessions.ts";
import { KeptBatches, type SentBatch } from "#client/stream/kept-batches.ts";
import { encodeRequest } from "#client/stream/record.ts";
import { GrpcTransport } from "#client/transports/grpc-transport.ts";
import type { SessionKey, Transport } from "#client/transports/transport.ts";
import { withDeadline } from "#lib/deadline.ts";

export type { SentBatch } from "#client/stream/kept-batches.ts";

/**
 * The device's half of the promise: a batch is numbered and encoded once, kept until it is settled, and sent again
 * with the same bytes whenever that is in doubt, so that the server can tell a retry from a new batch.
 * What is kept lies in KeptBatches, and in a Spool if there is one; Delivery brings it to the server.
 */
export class DeviceStream<Note = undefined> {
  readonly #session: SessionKey;
  readonly #options: DeviceStreamOptions<Note>;
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #spool: Spool | undefined;
  readonly #kept: KeptBatches<Note>;
  readonly #delivery: Delivery<Note>;
  readonly #earlier: EarlierSessions | undefined;
  #sequence = 0n;
  #failure: DeviceStreamError<Note> | undefined;
  #changed = Promise.withResolvers<void>();

  /** Throws SpoolError when there is a spool that cannot be used, RangeError for a bound that is none. */
  constructor(options: DeviceStreamOptions<Note>) {
    const { deviceId, sessionId = randomBytes(8).toString("hex"), transport, channel } = options;
    this.#session = { deviceId, sessionId };
    this.#options = options;
    this.#settings = readSettings(options);
    if (options.spool) this.#spool = new Spool(options.spool, this.#session, this.#settings.keptBytesMax);
    this.#kept = new KeptBatches<Note>(this.#spool?.journal);
    this.#transport =
      transport ??
      new GrpcTransport(channel ?? openChannel(options.address, options.credentials), channel === undefined);
    const common = {
      transport: this.#transport,
      settings: this.#settings,
      onChange: () => this.#onChange(),
    };
    this.#delivery = new Delivery<Note>({
      session: this.#session,
      kept: this.#kept,
      events: options,
      ...common,
    });
    if (!this.#spool) return;
    for (const problem of this.#spool.problems) options.onSpoolProblem?.(problem);
    this.#earlier = new EarlierSessions(this.#spool.earlier, { events: options.earlier ?? {}, ...common });
  }

  get sessionId(): string {
    return this.#session.sessionId;
  }

  /** The number of the last batch that was taken; 0 before the first. */
  get lastSequence(): bigint {
    return this.#sequence;
  }

  /** The batches that are kept: without a verdict yet or, with `keepUntil: "committed"`, not committed; by sequence. */
  get unacknowledged(): readonly SentBatch<Note>[] {
    return this.#kept.all;
  }

  /** How many batches that an earlier process left in the spool are still to be settled. */
  get earlierCount(): number {
    return this.#earlier?.count ?? 0;
  }

  /**
   * Gives the batch the next number and keeps it; resolves when there is room for another, which is the
   * backpressure: await it before the next call. `records` come from `encodeRecord`, 1 to 10,000 of them, at most
   * 1 MiB together. Rejects with {@link DeviceStreamError} once the stream has failed or is closed, and with the disk's
   * error when the spool cannot take the batch: it then has no number and is not sent.
   */
  async send(records: readonly Uint8Array[], note: Note): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#kept.count >= 2 * this.#settings.keptBatchesMax) {
      throw new Error(`${this.#kept.count} batches are waiting: await send() before the next call`);
    }
    const sequence = this.#sequence + 1n;
    const request = encodeRequest({ ...this.#session, sequence }, records);
    if (this.#kept.count === 0) this.#delivery.begin();
    const { byteLength } = request;
    this.#kept.add({ sequence, recordCount: records.length, note, request, byteLength });
    this.#sequence = sequence;
    if (this.#options.onFull === "drop-oldest") this.#makeRoom();
    this.#delivery.pump();
    if (this.#spool) await this.#spool.appended((reason) => this.#delivery.fail(reason));
    if (this.#options.onFull !== "drop-oldest") await this.#until(() => this.#hasRoom());
  }

  /** Resolves when no batch is kept any more; with `deadlineMs`, rejects with DeadlineError beyond it. */
  async flush(deadlineMs?: number): Promise<void> {
    const flushed = this.#until(() => this.#count === 0);
    if (deadlineMs === undefined) await flushed;
    else await withDeadline(`acknowledgement of ${this.#count} batches`, deadlineMs, flushed);
  }

  /** Ends the stream and the connection. What is kept, and is in no spool, is gone: `flush()` first. */
  close(): void {
    this.#fail("the stream is closed");
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #count(): number {
    return this.#kept.count + this.earlierCount;
  }

  get #bytes(): number {
    return this.#kept.bytes + (this.#earlier?.bytes ?? 0);
  }

  #makeRoom(): void {
    const { keptBatchesMax, keptBytesMax } = this.#settings;
    const isOver = () => this.#count > keptBatchesMax || this.#bytes > keptBytesMax;
    this.#earlier?.drop({ isOver, keptBatchesMax });
    dropOldest(this.#kept, { session: this.#session, isOver, keptBatchesMax, events: this.#options });
  }

  #hasRoom(): boolean {
    const { keptBatchesMax, keptBytesMax } = this.#settings;
    return this.#count < keptBatchesMax && this.#bytes < keptBytesMax;
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#failure) throw this.#failure;
      await this.#changed.promise;
    }
  }

  #onChange(): void {
    const failure = this.#delivery.failure ?? this.#earlier?.failure;
    if (failure !== undefined && !this.#failure) {
      const error = this.#fail(failure);
      this.#options.onFailed?.(error);
      return;
    }
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #fail(message: string): DeviceStreamError<Note> {
    if (this.#failure) return this.#failure;
    this.#failure = new DeviceStreamError(message, this.#kept.all);
    this.#delivery.fail(message);
    this.#earlier?.end(message);
    try {
      this.#spool?.[Symbol.dispose]();
    } catch (error) {
      this.#options.onSpoolProblem?.(`the spool cannot be closed: ${(error as Error).message}`);
    }
    if (!this.#options.transport) this.#transport.close();
    this.#onChange();
    return this.#failure;
  }
}
