import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { status as grpcStatus, Metadata, type StatusObject } from "@grpc/grpc-js";
import { StatusSchema } from "#proto/gen/google/rpc/status_pb.ts";
import { badRequest, retryInfo } from "#rpc/error-details.ts";
import { invalidArgument, type Refusal, resourceExhausted, unavailable } from "../outcome.ts";

const codes = {
  [invalidArgument]: grpcStatus.INVALID_ARGUMENT,
  [resourceExhausted]: grpcStatus.RESOURCE_EXHAUSTED,
  [unavailable]: grpcStatus.UNAVAILABLE,
} as const;

/** A refusal as the status of a call, with its details where gRPC clients of all languages look for them. */
export function refusalStatus({ code, field, message, retryDelayMs }: Refusal): StatusObject {
  if (code === unavailable && retryDelayMs === 0) {
    return { code: codes[code], details: message, metadata: new Metadata() };
  }
  const detail = code === invalidArgument ? pack(badRequest(field, message)) : pack(retryInfo(retryDelayMs));
  const status = create(StatusSchema, { code, message, details: [detail] });
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  return { code: codes[code], details: message, metadata };
}

function pack<Desc extends DescMessage>(detail: {
  readonly desc: Desc;
  readonly value: MessageInitShape<Desc>;
}): Any {
  return anyPack(detail.desc, create(detail.desc, detail.value));
}
