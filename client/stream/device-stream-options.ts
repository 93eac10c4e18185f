import type { ChannelCredentials, Client } from "@grpc/grpc-js";
import type { SpoolOptions } from "#client/spool/spool.ts";
import type { DeviceStreamError } from "#client/stream/device-stream-error.ts";
import type { SentBatch } from "#client/stream/pending-batches.ts";
import type { DeviceInfo } from "#client/stream/record.ts";
import type { Transport } from "#client/transports/transport.ts";
import type { Backoff } from "#lib/backoff.ts";
import type { Ack, BatchError } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** Events for the caller. Called synchronously; must not throw. */
export interface DeviceStreamEvents<Note> {
  /**
   * The batch is on disk at the server. `ack.rejections` lists the first rejected records, see
   * `rejectionsMax`; `ack.rejected` counts all.
   */
  readonly onAcknowledged?: (batch: SentBatch<Note>, ack: Ack) => void;
  /** The batch is in PostgreSQL and survives any loss of Redis. Only with `keepUntil: "committed"`. */
  readonly onCommitted?: (batch: SentBatch<Note>) => void;
  /** The whole batch was refused: its number is declared as dropped, and the stream continues. */
  readonly onRefused?: (batch: SentBatch<Note>, error: BatchError) => void;
  /** The server is overloaded or without Redis and asks for the batch later; it is resent. */
  readonly onDelayed?: (batch: SentBatch<Note>, error: BatchError) => void;
  /**
   * The batch was never sent and is declared as dropped because the limit was reached, with `onFull:
   * "drop-oldest"`.
   */
  readonly onDropped?: (batch: SentBatch<Note>) => void;
  /**
   * The batch is acknowledged but not known to be committed, and is released because the limit was
   * reached, with `onFull: "drop-oldest"`: it is as safe as with `keepUntil: "accepted"`.
   */
  readonly onReleased?: (batch: SentBatch<Note>) => void;
  /** The connection was lost, or failed to open, while batches are pending. */
  readonly onReconnect?: (failure: { attempt: number; delayMs: number; reason: string }) => void;
  /**
   * The stream failed permanently; every later call rejects with the same error. Not called after
   * `close()`.
   */
  readonly onFailed?: (error: DeviceStreamError<Note>) => void;
}

export interface DeviceStreamOptions<Note = undefined> extends DeviceStreamEvents<Note> {
  readonly deviceId: string;
  /** Default: random, as the protocol expects: one session is one lifetime of the device. */
  readonly sessionId?: string | undefined;
  /** host:port; default 127.0.0.1:50051. */
  readonly address?: string | undefined;
  /** Default: without TLS. */
  readonly credentials?: ChannelCredentials | undefined;
  /** Compresses what it sends to `address`: a third of the bytes, or less, for CPU. Default: none. */
  readonly compression?: "gzip" | undefined;
  /**
   * A channel from `openChannel` shared by many devices of one process, instead of an own connection
   * (`address` and `credentials`); its creator closes it. A server allows about 100 streams on one
   * connection.
   */
  readonly channel?: Client | undefined;
  /** Another transport than gRPC, instead of the three above; its creator closes it. See ConnectTransport. */
  readonly transport?: Transport | undefined;
  /**
   * Nanoseconds since the device booted, for one without a clock: its records have an uptime and no time.
   * Called for every request. Batches of an earlier process are sent without it.
   */
  readonly uptime?: (() => bigint) | undefined;
  /** What the device says about itself, sent with the first batch; see {@link DeviceStream.setDevice}. */
  readonly device?: DeviceInfo | undefined;
  /** How many rejected records an ack lists, up to 100; default at most 16. */
  readonly rejectionsMax?: number | undefined;
  /**
   * When a batch is settled. `accepted`, the default: when it is on disk in Redis. `committed`: when it
   * is in PostgreSQL, a moment later; it then survives even the total loss of Redis, as long as its
   * keeper does.
   */
  readonly keepUntil?: "accepted" | "committed" | undefined;
  /**
   * A folder that keeps pending batches across processes. The next process that opens it sends the
   * batches it finds under their old session and numbers, and new batches under its own session. Default:
   * memory only.
   */
  readonly spool?: SpoolOptions | undefined;
  /** Events of batches that an earlier process left in the spool; they have no notes. */
  readonly recovered?: DeviceStreamEvents<undefined> | undefined;
  /**
   * A file of the spool was damaged, for example by a power loss during a write; or the disk failed at
   * the end.
   */
  readonly onSpoolProblem?: ((problem: string) => void) | undefined;
  /**
   * The limit of pending batches, which decides how long a device can work without its server. Default
   * 1,024 batches and 64 MiB; in memory with `keepUntil: "accepted"`, the in-flight limits, unless the
   * oldest are dropped.
   */
  readonly pendingBatchesMax?: number | undefined;
  readonly pendingBytesMax?: number | undefined;
  /**
   * What {@link DeviceStream.send} does at that limit. `wait`, the default: it makes the caller wait.
   * `drop-oldest`: it drops the oldest batches that were never sent and declares them to the server with
   * the reason "spool full".
   */
  readonly onFull?: "wait" | "drop-oldest" | undefined;
  /**
   * With `keepUntil: "committed"`: the oldest batches are resent after this long without progress;
   * default 60 s.
   */
  readonly commitTimeoutMs?: number | undefined;
  /** The poll interval where the server does not report progress; default 2 s. */
  readonly commitPollMs?: number | undefined;
  /** Batches in flight; default and server's limit 32. */
  readonly inFlightBatchesMax?: number | undefined;
  /** The same in bytes; default 4 MiB. */
  readonly inFlightBytesMax?: number | undefined;
  /** How long batches wait without any acknowledgement before the connection counts as dead; default 30 s. */
  readonly ackTimeoutMs?: number | undefined;
  /**
   * How long to continue without any acknowledgement before the stream fails; default 5 min, with a spool
   * unlimited.
   */
  readonly giveUpAfterMs?: number | undefined;
  /** Delay between attempts; default up to 100 ms, doubling to up to 5 s, with full jitter. */
  readonly backoff?: Backoff | undefined;
}

/** The options with their defaults applied. */
export interface Settings {
  readonly keepUntilCommitted: boolean;
  readonly pendingBatchesMax: number;
  readonly pendingBytesMax: number;
  readonly inFlightBatchesMax: number;
  readonly inFlightBytesMax: number;
  readonly ackTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly commitTimeoutMs: number;
  readonly commitPollMs: number;
  readonly backoff: Backoff;
}

const mebibyte = 1024 * 1024;

/** Throws RangeError for a limit that is not positive. */
export function readSettings(options: DeviceStreamOptions<never>): Settings {
  const inFlightBatchesMax = options.inFlightBatchesMax ?? 32;
  const inFlightBytesMax = options.inFlightBytesMax ?? 4 * mebibyte;
  const keepUntilCommitted = options.keepUntil === "committed";
  const buffersMore = keepUntilCommitted || options.onFull === "drop-oldest" || options.spool !== undefined;
  const settings = {
    keepUntilCommitted,
    pendingBatchesMax: options.pendingBatchesMax ?? (buffersMore ? 1_024 : inFlightBatchesMax),
    pendingBytesMax: options.pendingBytesMax ?? (buffersMore ? 64 * mebibyte : inFlightBytesMax),
    inFlightBatchesMax,
    inFlightBytesMax,
    ackTimeoutMs: options.ackTimeoutMs ?? 30_000,
    giveUpAfterMs: options.giveUpAfterMs ?? (options.spool ? Number.POSITIVE_INFINITY : 300_000),
    commitTimeoutMs: options.commitTimeoutMs ?? 60_000,
    commitPollMs: options.commitPollMs ?? 2_000,
    backoff: options.backoff ?? { baseMs: 100, capMs: 5_000 },
  };
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value === "number" && !(value > 0)) throw new RangeError(`${name}: ${value} is not above 0`);
  }
  return settings;
}
