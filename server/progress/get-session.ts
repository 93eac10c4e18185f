import { create } from "@bufbuild/protobuf";
import { sessionName } from "#batch/batch-identity.ts";
import {
  type GetSessionRequest,
  type GetSessionResponse,
  GetSessionResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { type SequenceRange, SequenceRangeSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { SequenceRangeText, SessionKey } from "#stream/session-progress.ts";
import { toRefusal } from "../ingest.ts";
import type { Refusal } from "../outcome.ts";
import type { SessionLookups } from "./lookups.ts";

/** Serves GetSession on every transport. Never rejects. */
export async function getSession(
  { deviceId, sessionId }: Pick<GetSessionRequest, "deviceId" | "sessionId">,
  lookups: SessionLookups,
): Promise<GetSessionResponse | Refusal> {
  let name: SessionKey;
  try {
    name = sessionName(deviceId, sessionId, "");
  } catch (error) {
    return toRefusal(error);
  }
  const known = await lookups.lookUp(name);
  if ("code" in known) return known;
  return create(GetSessionResponseSchema, {
    committedRanges: known.received.map(toRange),
    droppedRanges: known.dropped.map(toRange),
    committedThrough: known.committed,
  });
}

function toRange([first, last]: SequenceRangeText): SequenceRange {
  return create(SequenceRangeSchema, { first: BigInt(first), last: BigInt(last) });
}
