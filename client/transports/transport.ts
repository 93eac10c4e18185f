import type {
  Ack,
  GetSessionResponse,
  Progress,
  SessionKey as SessionKeyMessage,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** The part of a batch that a link needs. */
export interface Sendable {
  readonly sequence: bigint;
  /** Of {@link request}. */
  readonly byteLength: number;
  /**
   * The encoded StreamLogsRequest, which is byte for byte a PushLogsRequest. Reading it may touch the
   * disk and throw.
   */
  readonly request: Buffer;
}

export type SessionKey = Pick<SessionKeyMessage, "deviceId" | "sessionId">;

/** Why a link ended; `code` is a gRPC status code. */
export interface LinkEnd {
  readonly code: number;
  readonly reason: string;
  /** How long the server wants to be left alone; unchecked. */
  readonly retryDelayMs?: number | undefined;
}

export interface LinkOptions<Batch extends Sendable> {
  /** How long the oldest batch may wait while no ack arrives at all, before the link counts as dead. */
  readonly ackTimeoutMs: number;
  /** Requests progress of this session, if the transport supports it. */
  readonly reportCommitted?: SessionKey | undefined;
  /** Encodes what a request has behind its batch, when it is written; nothing by default. */
  readonly encodeOptions?: (() => Uint8Array) | undefined;
  readonly onAck: (batch: Batch, ack: Ack) => void;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Called once, after the last ack that arrived. Batches without an ack by then may or may not be stored. */
  readonly onEnd: (end: LinkEnd) => void;
}

/** A stream or its replacement: accepts batches and acknowledges each once, until the link ends. */
export interface Link<Batch extends Sendable> {
  readonly inFlightCount: number;
  readonly inFlightBytes: number;
  write(batch: Batch): void;
  /** Announces that nothing more is written; the server then acknowledges the rest and ends, or we do. */
  end(): void;
  cancel(reason: string): void;
}

/** A way to the server. */
export interface Transport {
  /** Whether a link reports Progress; otherwise poll {@link getSession}. */
  readonly reportsProgress: boolean;
  /** Connects when the first batch is written. */
  open<Batch extends Sendable>(options: LinkOptions<Batch>): Link<Batch>;
  /** The committed part of a session; rejects when no server can tell in time. */
  getSession(session: SessionKey, timeoutMs: number): Promise<GetSessionResponse>;
  close(): void;
}
