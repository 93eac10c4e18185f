import { create } from "@bufbuild/protobuf";
import { limits } from "#batch/limits.ts";
import { type GetLimitsResponse, GetLimitsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { streamLimits } from "./streams/batch-pipeline.ts";

/** Serves GetLimits on every transport. */
export function getLimits(): GetLimitsResponse {
  return create(GetLimitsResponseSchema, {
    batchBytesMax: limits.batchBytesMax,
    recordsMax: limits.recordsMax,
    messageBytesMax: limits.messageBytesMax,
    loggerBytesMax: limits.loggerBytesMax,
    eventNameBytesMax: limits.eventNameBytesMax,
    severityTextBytesMax: limits.severityTextBytesMax,
    attributesMax: limits.attributesMax,
    attributeKeyBytesMax: limits.attributeKeyBytesMax,
    attributeValueBytesMax: limits.attributeValueBytesMax,
    deviceIdBytesMax: limits.deviceIdBytesMax,
    sessionIdBytesMax: limits.sessionIdBytesMax,
    droppedReasonBytesMax: limits.droppedReasonBytesMax,
    deviceInfoBytesMax: limits.deviceInfoBytesMax,
    requestBytesMax: limits.requestBytesMax,
    jsonBytesMax: limits.jsonBytesMax,
    inFlightBatchesMax: streamLimits.batchesMax,
    inFlightBytesMax: streamLimits.bytesMax,
    serverTimeUnixNano: BigInt(Date.now()) * 1_000_000n,
  });
}
