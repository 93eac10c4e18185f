import { create } from "@bufbuild/protobuf";
import { limits } from "#batch/limits.ts";
import { type Ack, AckSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** The outcome of one batch. It is on disk unless it was refused. */
export interface Outcome {
  readonly sequence: bigint;
  readonly accepted: number;
  readonly rejections: readonly { readonly index: number; readonly reason: string }[];
  readonly refusal?: Refusal;
}

/** Why a whole batch was refused. The codes are those of google.rpc.Code. */
export interface Refusal {
  readonly code: typeof invalidArgument | typeof resourceExhausted | typeof unavailable;
  /** The invalid field; empty unless the batch is invalid. */
  readonly field: string;
  readonly message: string;
  /** When to retry; 0: never, or with code 14 at once. */
  readonly retryDelayMs: number;
}

export const invalidArgument = 3;
export const resourceExhausted = 8;
export const unavailable = 14;

/** The outcome as the protocol says it. */
export function toAck({ sequence, accepted, rejections, refusal }: Outcome): Ack {
  return create(AckSchema, {
    sequence,
    accepted,
    rejections: rejections.slice(0, limits.rejectionsMax).map(({ index, reason }) => ({ index, reason })),
    rejected: rejections.length,
    ...(refusal ? { error: refusal } : {}),
  });
}
