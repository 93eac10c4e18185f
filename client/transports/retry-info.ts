import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Metadata } from "@grpc/grpc-js";
import { type RetryInfo, RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#proto/gen/google/rpc/status_pb.ts";

/** The delay of a RetryInfo; undefined when it is missing or not positive. */
export function retryDelayMs(info: RetryInfo | undefined): number | undefined {
  if (!info?.retryDelay) return undefined;
  const ms = Number(info.retryDelay.seconds) * 1_000 + info.retryDelay.nanos / 1_000_000;
  return ms > 0 ? ms : undefined;
}

/** The retry delay in the status of a gRPC call; undefined when it is missing or malformed. */
export function readRetryDelayMs(trailers: Metadata): number | undefined {
  const [details] = trailers.get("grpc-status-details-bin");
  if (!(details instanceof Uint8Array)) return undefined;
  try {
    for (const any of fromBinary(StatusSchema, details).details) {
      const info = anyUnpack(any, RetryInfoSchema);
      if (info) return retryDelayMs(info);
    }
  } catch {
    // Details are optional: without them we use our own backoff.
  }
  return undefined;
}
