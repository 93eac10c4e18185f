import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#proto/gen/google/rpc/status_pb.ts";
import type { NodeResponse } from "#rpc/serve-call.ts";
import type { Refusal } from "../outcome.ts";

/** The encoding of a request, and of its response. */
export type OtlpEncoding = "protobuf" | "json";
export const contentTypes = { protobuf: "application/x-protobuf", json: "application/json" } as const;

/** An error of OTLP/HTTP. */
export interface Failure {
  readonly httpStatus: number;
  readonly code: Code;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** 0 or absent: sent again, it fails again. */
  readonly retryDelayMs?: number;
}

/** Senders send again what is answered with 429, 502, 503 and 504, and nothing else. */
const codes = {
  [BatchErrorCode.INVALID_ARGUMENT]: { httpStatus: 400, code: Code.InvalidArgument },
  [BatchErrorCode.RESOURCE_EXHAUSTED]: { httpStatus: 429, code: Code.ResourceExhausted },
  [BatchErrorCode.UNAVAILABLE]: { httpStatus: 503, code: Code.Unavailable },
} as const;

export function toFailure({ code, message, retryDelayMs }: Refusal): Failure {
  return { ...codes[code], message, retryDelayMs };
}

/** Sends an error as google.rpc.Status. */
export function sendFailure(response: NodeResponse, encoding: OtlpEncoding, failure: Failure): void {
  const { httpStatus, headers = {}, retryDelayMs = 0 } = failure;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (retryDelayMs > 0) response.setHeader("retry-after", String(Math.ceil(retryDelayMs / 1000)));
  send(response, httpStatus, encoding, encoding === "json" ? statusJson(failure) : encodeStatus(failure));
}

export function send(
  response: NodeResponse,
  status: number,
  encoding: OtlpEncoding,
  body: Uint8Array | string,
): void {
  response.statusCode = status;
  response.setHeader("content-type", contentTypes[encoding]);
  response.setHeader("cache-control", "no-store");
  response.setHeader("content-length", Buffer.byteLength(body));
  response.end(body);
}

function statusJson({ code, message, retryDelayMs = 0 }: Failure): string {
  const type = `type.googleapis.com/${RetryInfoSchema.typeName}`;
  const details = retryDelayMs > 0 ? [{ "@type": type, retryDelay: `${retryDelayMs / 1000}s` }] : [];
  return JSON.stringify({ code, message, details });
}

function encodeStatus({ code, message, retryDelayMs = 0 }: Failure): Uint8Array {
  const retryInfo = create(RetryInfoSchema, { retryDelay: durationFromMs(retryDelayMs) });
  const details = retryDelayMs > 0 ? [anyPack(RetryInfoSchema, retryInfo)] : [];
  return toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
}
