import type { ChannelCredentials, Client } from "@grpc/grpc-js";
import type { SpoolOptions } from "#client/spool/spool.ts";
import type { DeviceStreamError } from "#client/stream/device-stream-error.ts";
import type { SentBatch } from "#client/stream/kept-batches.ts";
import type { Transport } from "#client/transports/transport.ts";
import type { Backoff } from "#lib/backoff.ts";
import type { Ack, BatchError } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** What happens, for the caller to see. Called synchronously; must not throw. */
export interface DeviceStreamEvents<Note> {
  /** On disk at the server. `ack.rejections` lists the first 100 records that were rejected, `ack.rejected` counts all. */
  readonly onAcknowledged?: (batch: SentBatch<Note>, ack: Ack) => void;
  /** In PostgreSQL, where nothing that happens to Redis can reach it. Only with `keepUntil: "committed"`. */
  readonly onCommitted?: (batch: SentBatch<Note>) => void;
  /** The batch as a whole was refused: its number is declared as dropped, and the stream goes on. */
  readonly onRefused?: (batch: SentBatch<Note>, error: BatchError) => void;
  /** The server wants the batch later, because it is overloaded or its Redis is unreachable; it is sent again. */
  readonly onDelayed?: (batch: SentBatch<Note>, error: BatchError) => void;
  /** Given up because everything was full, with `onFull: "drop-oldest"`: never sent, and declared as dropped. */
  readonly onDropped?: (batch: SentBatch<Note>) => void;
  /**
   * Acknowledged, not yet known as committed, and not kept any longer because everything was full, with
   * `onFull: "drop-oldest"`: it is as safe as with `keepUntil: "accepted"`.
   */
  readonly onReleased?: (batch: SentBatch<Note>) => void;
  /** The connection was lost, or none could be made, while batches wait for their verdict. */
  readonly onReconnect?: (failure: { attempt: number; delayMs: number; reason: string }) => void;
  /** The stream failed for good; every call from now on rejects with the same error. Not after `close()`. */
  readonly onFailed?: (error: DeviceStreamError<Note>) => void;
}

export interface DeviceStreamOptions<Note = undefined> extends DeviceStreamEvents<Note> {
  readonly deviceId: string;
  /** Default: random, as the protocol wants it: one session is one life of the device. */
  readonly sessionId?: string | undefined;
  /** host:port; default 127.0.0.1:50051. */
  readonly address?: string | undefined;
  /** Default: without TLS. */
  readonly credentials?: ChannelCredentials | undefined;
  /**
   * Shared by many devices of one process, in place of a connection of its own (`address` and `credentials`); from
   * `openChannel`, closed by whoever opened it. A server allows 100 streams or so on one connection.
   */
  readonly channel?: Client | undefined;
  /** Another way to the server than gRPC, in place of all three; closed by whoever made it. See ConnectTransport. */
  readonly transport?: Transport | undefined;
  /**
   * When a batch is forgotten. `accepted`, the default: when it is on disk in Redis. `committed`: when it is in
   * PostgreSQL, a moment later; it then survives even the total loss of Redis, as long as what keeps it lives.
   */
  readonly keepUntil?: "accepted" | "committed" | undefined;
  /**
   * A folder in which what is kept survives the end of this process. The next process that opens it sends what it finds
   * under the old session and numbers, and what is new under a session of its own. Default: only memory.
   */
  readonly spool?: SpoolOptions | undefined;
  /** What happens to batches that an earlier process left in the spool; their notes are gone. */
  readonly earlier?: DeviceStreamEvents<undefined> | undefined;
  /** A file of the spool was damaged, as when the power was cut while it was written; or the disk fails at the end. */
  readonly onSpoolProblem?: ((problem: string) => void) | undefined;
  /**
   * How much is kept, which is how long a device can do without its server. Default 1,024 batches and 64 MiB; with
   * `keepUntil: "accepted"` in memory, as much as may be under way, unless the oldest are dropped.
   */
  readonly keptBatchesMax?: number | undefined;
  readonly keptBytesMax?: number | undefined;
  /**
   * What {@link DeviceStream.send} does at that bound. `wait`, the default: it makes the caller wait. `drop-oldest`: it
   * gives up the oldest batches that were never sent, and tells the server so, with the reason "spool full".
   */
  readonly onFull?: "wait" | "drop-oldest" | undefined;
  /** With `keepUntil: "committed"`: after so long without progress the oldest are sent again; default 60 s. */
  readonly commitTimeoutMs?: number | undefined;
  /** The same, where the server does not tell but has to be asked: how often; default 2 s. */
  readonly commitPollMs?: number | undefined;
  /** Batches under way at once; default and server's bound 32. */
  readonly inFlightBatchesMax?: number | undefined;
  /** The same in bytes; default 4 MiB. */
  readonly inFlightBytesMax?: number | undefined;
  /** How long batches wait without any acknowledgement before the connection counts as dead; default 30 s. */
  readonly ackTimeoutMs?: number | undefined;
  /** How long to go on without any acknowledgement before the stream fails; default 5 min, with a spool forever. */
  readonly giveUpAfterMs?: number | undefined;
  /** Between attempts; default up to 100 ms, doubling to up to 5 s, with full jitter. */
  readonly backoff?: Backoff | undefined;
}

/** The options that are numbers, with what holds where one is absent. */
export interface Settings {
  readonly keepUntilCommitted: boolean;
  readonly keptBatchesMax: number;
  readonly keptBytesMax: number;
  readonly inFlightBatchesMax: number;
  readonly inFlightBytesMax: number;
  readonly ackTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly commitTimeoutMs: number;
  readonly commitPollMs: number;
  readonly backoff: Backoff;
}

const mebibyte = 1024 * 1024;

/** Throws RangeError for a bound that is none. */
export function readSettings(options: DeviceStreamOptions<never>): Settings {
  const inFlightBatchesMax = options.inFlightBatchesMax ?? 32;
  const inFlightBytesMax = options.inFlightBytesMax ?? 4 * mebibyte;
  const keepUntilCommitted = options.keepUntil === "committed";
  const keepsMore = keepUntilCommitted || options.onFull === "drop-oldest" || options.spool !== undefined;
  const settings = {
    keepUntilCommitted,
    keptBatchesMax: options.keptBatchesMax ?? (keepsMore ? 1_024 : inFlightBatchesMax),
    keptBytesMax: options.keptBytesMax ?? (keepsMore ? 64 * mebibyte : inFlightBytesMax),
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
