import type {
  Ack,
  GetSessionResponse,
  Progress,
  SessionKey as SessionKeyMessage,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** What a link needs to know of a batch. */
export interface Sendable {
  readonly sequence: bigint;
  /** Of {@link request}. */
  readonly byteLength: number;
  /** The encoded StreamLogsRequest, which is a PushLogsRequest to the byte. May be read from a disk, and throw. */
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
  /** Asks to be told how far this session is committed, if this transport can. */
  readonly reportCommitted?: SessionKey | undefined;
  readonly onAck: (batch: Batch, ack: Ack) => void;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Called once, after the last ack that arrived. Batches without an ack by then may or may not be stored. */
  readonly onEnd: (end: LinkEnd) => void;
}

/** A stream, or what stands for one: batches go in, and each has one ack, until the link ends. */
export interface Link<Batch extends Sendable> {
  readonly awaitingCount: number;
  readonly awaitingBytes: number;
  write(batch: Batch): void;
  /** Says that nothing more will be written; the server then answers what it has and ends, or we do. */
  end(): void;
  cancel(reason: string): void;
}

/** A way to the server. */
export interface Transport {
  /** Whether a link tells Progress; otherwise the server has to be asked, by {@link getSession}. */
  readonly reportsProgress: boolean;
  /** Connects when the first batch is written. */
  open<Batch extends Sendable>(options: LinkOptions<Batch>): Link<Batch>;
  /** What of a session is in PostgreSQL; rejects when nobody can tell within the time. */
  getSession(session: SessionKey, timeoutMs: number): Promise<GetSessionResponse>;
  close(): void;
}
