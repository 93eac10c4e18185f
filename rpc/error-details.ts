import { BadRequestSchema, RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";

export type ErrorDetail = ReturnType<typeof badRequest> | ReturnType<typeof retryInfo>;

/** Which field of the request is wrong, and how: google.rpc.BadRequest. */
export function badRequest(field: string, description: string) {
  return { desc: BadRequestSchema, value: { fieldViolations: [{ field, description }] } };
}

/** When to call again: google.rpc.RetryInfo. */
export function retryInfo(delayMs: number) {
  const retryDelay = { seconds: BigInt(Math.floor(delayMs / 1000)), nanos: (delayMs % 1000) * 1_000_000 };
  return { desc: RetryInfoSchema, value: { retryDelay } };
}
