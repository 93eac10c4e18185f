import { randomBytes } from "node:crypto";
import { limits } from "#batch/limits.ts";
import { Spool } from "#client/spool/spool.ts";
import { Delivery } from "#client/stream/delivery.ts";
import { DeviceDescription } from "#client/stream/device-description.ts";
import { DeviceStreamError } from "#client/stream/device-stream-error.ts";
import {
  type DeviceStreamEvents,
  type DeviceStreamOptions,
  readSettings,
  type Settings,
} from "#client/stream/device-stream-options.ts";
import { dropOldest } from "#client/stream/drop-oldest.ts";
import { PendingBatches, type SentBatch } from "#client/stream/pending-batches.ts";
import {
  type DeviceInfo,
  encodeRequest,
  encodeRequestOptions,
  type RequestHeader,
} from "#client/stream/record.ts";
import { RecoveredSessions } from "#client/stream/recovered-sessions.ts";
import { openChannel } from "#client/transports/grpc-channel.ts";
import { GrpcTransport } from "#client/transports/grpc-transport.ts";
import type { SessionKey, Transport } from "#client/transports/transport.ts";
import { withDeadline } from "#lib/deadline.ts";

export type { SentBatch } from "#client/stream/pending-batches.ts";

/**
 * The device's half of the delivery guarantee: a batch is numbered and encoded once, kept until it is
 * settled, and resent with the same bytes whenever its outcome is unknown, so that the server recognises
 * a retry. PendingBatches keeps the batches, in a Spool if there is one; Delivery sends them.
 */
export class DeviceStream<Note = undefined> {
  readonly #session: SessionKey;
  readonly #options: DeviceStreamOptions<Note>;
  readonly #events: DeviceStreamEvents<Note>;
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #spool: Spool | undefined;
  readonly #pending: PendingBatches<Note>;
  readonly #delivery: Delivery<Note>;
  readonly #recovered: RecoveredSessions | undefined;
  #sequence = 0n;
  readonly #description = new DeviceDescription();
  #failure: DeviceStreamError<Note> | undefined;
  #changed = Promise.withResolvers<void>();

  /** Throws SpoolError when the spool cannot be used, RangeError for a limit that is not positive. */
  constructor(options: DeviceStreamOptions<Note>) {
    const { deviceId, sessionId = randomBytes(8).toString("hex"), transport, channel } = options;
    const { rejectionsMax = 0 } = options;
    this.#session = { deviceId, sessionId };
    this.#options = options;
    this.#events = {
      ...options,
      onRefused: (batch, error) => {
        // One that is itself invalid would have every batch refused.
        if (!error.field.startsWith("batch.device.")) this.#description.lostWith(batch.sequence);
        options.onRefused?.(batch, error);
      },
      onDropped: (batch) => {
        this.#description.lostWith(batch.sequence);
        options.onDropped?.(batch);
      },
    };
    this.#settings = readSettings(options);
    if (options.device) this.setDevice(options.device);
    if (options.spool) this.#spool = new Spool(options.spool, this.#session, this.#settings.pendingBytesMax);
    this.#pending = new PendingBatches<Note>(this.#spool?.journal);
    this.#transport =
      transport ??
      new GrpcTransport(
        channel ?? openChannel(options.address, options.credentials, options.compression),
        channel === undefined,
      );
    const common = {
      transport: this.#transport,
      settings: this.#settings,
      onChange: () => this.#onChange(),
    };
    this.#delivery = new Delivery<Note>({
      session: this.#session,
      pending: this.#pending,
      events: this.#events,
      encodeOptions: () => encodeRequestOptions({ uptimeNano: options.uptime?.() ?? 0n, rejectionsMax }),
      ...common,
    });
    if (!this.#spool) return;
    for (const problem of this.#spool.problems) options.onSpoolProblem?.(problem);
    this.#recovered = new RecoveredSessions(this.#spool.recovered, {
      events: options.recovered ?? {},
      encodeOptions: () => encodeRequestOptions({ uptimeNano: 0n, rejectionsMax }), // of another boot
      ...common,
    });
  }

  get sessionId(): string {
    return this.#session.sessionId;
  }

  /** The number of the last accepted `send()`; 0 before the first. */
  get lastSequence(): bigint {
    return this.#sequence;
  }

  /**
   * The server's clock now, in nanoseconds since 1970: the time in its latest ack and what passed since;
   * undefined before the first.
   */
  get serverTimeUnixNano(): bigint | undefined {
    const { serverTime } = this.#delivery;
    if (serverTime === undefined) return undefined;
    return serverTime.unixNano + BigInt(Math.round((performance.now() - serverTime.atMs) * 1e6));
  }

  /**
   * Sends what the device says about itself with the next batch: call it when that changes. Throws
   * RangeError beyond a limit.
   */
  setDevice(device: DeviceInfo): void {
    this.#description.set(device);
  }

  /**
   * The pending batches in order of sequence: not acknowledged or, with `keepUntil: "committed"`, not
   * committed.
   */
  get unacknowledged(): readonly SentBatch<Note>[] {
    return this.#pending.all;
  }

  /** How many unsettled batches an earlier process left in the spool. */
  get recoveredCount(): number {
    return this.#recovered?.count ?? 0;
  }

  /**
   * Assigns the next number to the batch and keeps it; resolves when there is capacity for another. This
   * is the backpressure: await it before the next call. `records` come from `encodeRecord`, 1 to 10,000
   * of them, at most 1 MiB together. Rejects with {@link DeviceStreamError} once the stream failed or is
   * closed, and with the disk's error when the spool cannot store the batch: the batch then has no number
   * and is not sent.
   */
  async send(records: readonly Uint8Array[], note: Note): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#pending.count >= 2 * this.#settings.pendingBatchesMax) {
      throw new Error(`${this.#pending.count} batches are waiting: await send() before the next call`);
    }
    const sequence = this.#sequence + 1n;
    const { request, hasDevice } = this.#encode({ ...this.#session, sequence }, records);
    if (this.#pending.count === 0) this.#delivery.begin();
    const { byteLength } = request;
    this.#pending.add({ sequence, recordCount: records.length, note, request, byteLength });
    this.#sequence = sequence;
    if (hasDevice) this.#description.sentWith(sequence);
    if (this.#options.onFull === "drop-oldest") this.#dropOldest();
    this.#delivery.pump();
    if (this.#spool) await this.#spool.appended((reason) => this.#delivery.fail(reason));
    if (this.#options.onFull !== "drop-oldest") await this.#until(() => this.#hasCapacity());
  }

  /** Resolves when no batch is pending; rejects with DeadlineError after `deadlineMs`, if given. */
  async flush(deadlineMs?: number): Promise<void> {
    const flushed = this.#until(() => this.#count === 0);
    if (deadlineMs === undefined) await flushed;
    else await withDeadline(`acknowledgement of ${this.#count} batches`, deadlineMs, flushed);
  }

  /** Closes the stream and the connection. Pending batches that are in no spool are lost: `flush()` first. */
  close(): void {
    this.#fail("the stream is closed");
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** A batch of the largest size has no room for what the device says: the next one has it. */
  #encode(header: RequestHeader, records: readonly Uint8Array[]): { request: Buffer; hasDevice: boolean } {
    const device = this.#description.toSend;
    const request = encodeRequest(header, records, device);
    const hasDevice = device !== undefined;
    if (!hasDevice || request.length <= limits.batchBytesMax) return { request, hasDevice };
    return { request: encodeRequest(header, records), hasDevice: false };
  }

  get #count(): number {
    return this.#pending.count + this.recoveredCount;
  }

  get #bytes(): number {
    return this.#pending.bytes + (this.#recovered?.bytes ?? 0);
  }

  #dropOldest(): void {
    const { pendingBatchesMax, pendingBytesMax } = this.#settings;
    const isOver = () => this.#count > pendingBatchesMax || this.#bytes > pendingBytesMax;
    this.#recovered?.drop({ isOver, pendingBatchesMax });
    dropOldest(this.#pending, { session: this.#session, isOver, pendingBatchesMax, events: this.#events });
  }

  #hasCapacity(): boolean {
    const { pendingBatchesMax, pendingBytesMax } = this.#settings;
    return this.#count < pendingBatchesMax && this.#bytes < pendingBytesMax;
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#failure) throw this.#failure;
      await this.#changed.promise;
    }
  }

  #onChange(): void {
    const failure = this.#delivery.failure ?? this.#recovered?.failure;
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
    this.#failure = new DeviceStreamError(message, this.#pending.all);
    this.#delivery.fail(message);
    this.#recovered?.end(message);
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
