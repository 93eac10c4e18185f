import { create } from "@bufbuild/protobuf";
import { limits } from "#batch/limits.ts";
import { type GetLimitsResponse, GetLimitsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { responseBytesMax, toNanos } from "./ack.ts";
import { streamLimits } from "./streams/batch-pipeline.ts";

/** Serves GetLimits on every transport. */
export function getLimits(): GetLimitsResponse {
  return create(GetLimitsResponseSchema, {
    ...limits,
    inFlightBatchesMax: streamLimits.batchesMax,
    inFlightBytesMax: streamLimits.bytesMax,
    responseBytesMax,
    serverTimeUnixNano: toNanos(Date.now()),
  });
}
