import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** The outcome of one batch. It is on disk unless it was refused. */
export interface Outcome {
  /** As sent; the one that the server assigned where {@link assignedSession} is set. */
  readonly sequence: bigint;
  /** Set for an accepted batch of a sender without state. */
  readonly assignedSession?: string;
  readonly accepted: number;
  readonly rejections: readonly { readonly index: number; readonly reason: string }[];
  /** How many of them the sender asked for; 0 or absent: it did not say. */
  readonly rejectionsMax?: number;
  readonly refusal?: Refusal;
}

/** Why a whole batch was refused. */
export interface Refusal {
  readonly code: RefusalCode;
  /** The invalid field; empty unless the batch is invalid. */
  readonly field: string;
  readonly message: string;
  /** When to retry; 0: never, or with UNAVAILABLE at once. */
  readonly retryDelayMs: number;
}

/** Codes of google.rpc.Code. */
type RefusalCode = typeof INVALID_ARGUMENT | typeof RESOURCE_EXHAUSTED | typeof UNAVAILABLE;

const { INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE } = BatchErrorCode;
