import { create } from "@bufbuild/protobuf";
import { limits } from "#batch/limits.ts";
import { type Ack, AckSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { Outcome, Refusal } from "./outcome.ts";
import { truncateText } from "./truncate-text.ts";

/**
 * Every response to a batch fits into a receive buffer of this size: an ack, unless its request asks for more
 * rejections, and an error of PushLogs.
 */
export const responseBytesMax = 1_024;

/** Of Rejection.reason and BatchError.message, and of BatchError.field. */
export const reasonBytesMax = 256;
const fieldBytesMax = 128;

/** Rejections in an ack whose request does not ask for a number of them. */
const usualRejectionsMax = 16;

type Rejection = Outcome["rejections"][number];

/** What of a response is not a rejection, at most, and what one rejection adds, at most. */
const encodings = {
  binary: {
    besideBytes: 64,
    rejectionBytes: ({ reason }: Rejection) => Buffer.byteLength(reason) + 10,
  },
  json: {
    besideBytes: 200,
    rejectionBytes: (rejection: Rejection) => Buffer.byteLength(JSON.stringify(rejection)) + 1,
  },
} as const;

export type Encoding = keyof typeof encodings;

/** The outcome as the protocol says it, for a response in this encoding that leaves at `nowMs`. */
export function toAck(outcome: Outcome, encoding: Encoding, nowMs = Date.now()): Ack {
  const { sequence, assignedSession = "", accepted, rejections, refusal } = outcome;
  return create(AckSchema, {
    sequence,
    accepted,
    rejections: listRejections(outcome, encoding),
    rejected: rejections.length,
    serverTimeUnixNano: toNanos(nowMs),
    sessionId: assignedSession,
    ...(refusal && { error: cutRefusal(refusal) }),
  });
}

export function toNanos(ms: number): bigint {
  return BigInt(ms) * 1_000_000n;
}

/** The refusal with texts of the size that the protocol promises. */
export function cutRefusal(refusal: Refusal, messageBytesMax = reasonBytesMax): Refusal {
  const { field, message } = refusal;
  return {
    ...refusal,
    field: truncateText(field, fieldBytesMax),
    message: truncateText(message, messageBytesMax),
  };
}

function listRejections({ rejections, rejectionsMax = 0 }: Outcome, encoding: Encoding): Rejection[] {
  const { besideBytes, rejectionBytes } = encodings[encoding];
  const countMax = rejectionsMax === 0 ? usualRejectionsMax : Math.min(rejectionsMax, limits.rejectionsMax);
  let bytesLeft = rejectionsMax === 0 ? responseBytesMax - besideBytes : Number.POSITIVE_INFINITY;
  const listed: Rejection[] = [];
  for (const { index, reason } of rejections.slice(0, countMax)) {
    const rejection = { index, reason: truncateText(reason, reasonBytesMax) };
    bytesLeft -= rejectionBytes(rejection);
    if (bytesLeft < 0) break;
    listed.push(rejection);
  }
  return listed;
}
