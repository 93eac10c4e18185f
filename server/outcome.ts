import { create } from "@bufbuild/protobuf";
import { limits } from "#batch/limits.ts";
import { type Ack, AckSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** What became of one batch. It is on disk unless there is a refusal. */
export interface Verdict {
  readonly sequence: bigint;
  readonly accepted: number;
  readonly rejections: readonly { readonly index: number; readonly reason: string }[];
  readonly refusal?: Refusal;
}

/** Why a whole batch was not taken; the codes are those of google.rpc.Code. */
export interface Refusal {
  readonly code: typeof invalidArgument | typeof resourceExhausted | typeof unavailable;
  /** The field at fault; empty unless the batch is. */
  readonly field: string;
  readonly message: string;
  /** When to try again; 0: never, or with code 14 at once. */
  readonly retryDelayMs: number;
}

export const invalidArgument = 3;
export const resourceExhausted = 8;
export const unavailable = 14;

/** The verdict as the protocol says it. */
export function toAck({ sequence, accepted, rejections, refusal }: Verdict): Ack {
  return create(AckSchema, {
    sequence,
    accepted,
    rejections: rejections.slice(0, limits.rejectionsMax).map(({ index, reason }) => ({ index, reason })),
    rejected: rejections.length,
    ...(refusal ? { error: refusal } : {}),
  });
}
