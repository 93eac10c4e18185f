import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { badRequest, type ErrorDetail, retryInfo } from "#rpc/error-details.ts";
import { errorText } from "#rpc/send-error.ts";
import { responseBytesMax } from "../ack.ts";
import { fitRefusal } from "../fit-refusal.ts";
import type { Refusal } from "../outcome.ts";

const codes = {
  [BatchErrorCode.INVALID_ARGUMENT]: Code.InvalidArgument,
  [BatchErrorCode.RESOURCE_EXHAUSTED]: Code.ResourceExhausted,
  [BatchErrorCode.UNAVAILABLE]: Code.Unavailable,
} as const;

/** A refusal as the error of a call, with its details, as long as a response may be. */
export function refusalError(refusal: Refusal): ConnectError {
  return fitRefusal(refusal, toError, bytesOf);
}

function toError({ code, field, message, retryDelayMs }: Refusal): ConnectError {
  const isInvalid = code === BatchErrorCode.INVALID_ARGUMENT;
  if (!isInvalid && retryDelayMs === 0) return new ConnectError(message, codes[code]);
  const detail = isInvalid ? badRequest(field, message) : retryInfo(retryDelayMs);
  const error = new ConnectError(message, codes[code], undefined, [detail]);
  return bytesOf(error) <= responseBytesMax ? error : withoutDebug(error, detail);
}

/** Connect adds details in JSON to those in base64, for people, but not to encoded ones. */
function withoutDebug(error: ConnectError, { desc, value }: ErrorDetail): ConnectError {
  error.details = [
    { type: desc.typeName, value: toBinary<DescMessage>(desc, create<DescMessage>(desc, value)) },
  ];
  return error;
}

/** In the larger of its forms: Connect's JSON, and the trailers of gRPC-Web. */
function bytesOf(error: ConnectError): number {
  const trailers = trailerSerialize(setTrailerStatus(new Headers(), error));
  return Math.max(Buffer.byteLength(errorText(error)), trailers.length);
}
