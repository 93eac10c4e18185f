import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { status as grpcStatus, Metadata, type StatusObject } from "@grpc/grpc-js";
import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { StatusSchema } from "#proto/gen/google/rpc/status_pb.ts";
import { badRequest, type ErrorDetail, retryInfo } from "#rpc/error-details.ts";
import { fitRefusal } from "../fit-refusal.ts";
import type { Refusal } from "../outcome.ts";

const codes = {
  [BatchErrorCode.INVALID_ARGUMENT]: grpcStatus.INVALID_ARGUMENT,
  [BatchErrorCode.RESOURCE_EXHAUSTED]: grpcStatus.RESOURCE_EXHAUSTED,
  [BatchErrorCode.UNAVAILABLE]: grpcStatus.UNAVAILABLE,
} as const;

/**
 * A refusal as the status of a call, with its details where gRPC clients of all languages look for them, as long as a
 * response may be.
 */
export function refusalStatus(refusal: Refusal): StatusObject {
  return fitRefusal(refusal, toStatus, bytesOf);
}

function toStatus({ code, field, message, retryDelayMs }: Refusal): StatusObject {
  const isInvalid = code === BatchErrorCode.INVALID_ARGUMENT;
  const metadata = new Metadata();
  if (isInvalid || retryDelayMs > 0) {
    const detail = pack(isInvalid ? badRequest(field, message) : retryInfo(retryDelayMs));
    const status = create(StatusSchema, { code, message, details: [detail] });
    metadata.set(detailsKey, Buffer.from(toBinary(StatusSchema, status)));
  }
  return { code: codes[code], details: message, metadata };
}

const detailsKey = "grpc-status-details-bin";

/** Of the trailers grpc-status, grpc-message and grpc-status-details-bin. */
function bytesOf({ details, metadata }: StatusObject): number {
  const [encoded = nothing] = metadata.get(detailsKey);
  const values = `grpc-status: 16 grpc-message: ${encodeURI(details.toWellFormed())} ${detailsKey}: `;
  return values.length + Math.ceil(encoded.length / 3) * 4;
}

const nothing = Buffer.alloc(0);

function pack({ desc, value }: ErrorDetail): Any {
  return anyPack<DescMessage>(desc, create<DescMessage>(desc, value));
}
