import type { ChannelCredentials, Client } from "@grpc/grpc-js";
import type { DeviceStreamError } from "#client/device-stream-error.ts";
import type { SentBatch } from "#client/kept-batches.ts";
import type { Backoff } from "#lib/backoff.ts";
import type { Ack, BatchError } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** What happens, for the caller to see. Called synchronously; must not throw. */
export interface DeviceStreamEvents<Note> {
  /** On disk at the server. `ack.rejections` lists the records that were refused by themselves. */
  readonly onAcknowledged?: (batch: SentBatch<Note>, ack: Ack) => void;
  /** The batch as a whole was refused and will not be sent again; the stream goes on. */
  readonly onRefused?: (batch: SentBatch<Note>, error: BatchError) => void;
  /** The server wants the batch later, because it is overloaded or its Redis is away; it is sent again. */
  readonly onDelayed?: (batch: SentBatch<Note>, error: BatchError) => void;
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
  /** Batches under way before {@link DeviceStream.send} makes the caller wait; default and server's bound 32. */
  readonly inFlightBatchesMax?: number | undefined;
  /** The same in bytes; default 4 MiB. */
  readonly inFlightBytesMax?: number | undefined;
  /** How long batches wait without any acknowledgement before the connection counts as dead; default 30 s. */
  readonly ackTimeoutMs?: number | undefined;
  /** How long to go on without any acknowledgement before the stream fails for good; default 5 min. */
  readonly giveUpAfterMs?: number | undefined;
  /** Between attempts; default 100 ms doubling to 5 s, jittered. */
  readonly backoff?: Backoff | undefined;
}
