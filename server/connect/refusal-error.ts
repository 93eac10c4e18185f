import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { invalidArgument, type Refusal, resourceExhausted, unavailable } from "../outcome.ts";

const codes = {
  [invalidArgument]: Code.InvalidArgument,
  [resourceExhausted]: Code.ResourceExhausted,
  [unavailable]: Code.Unavailable,
} as const;

/** A refusal as the error of a call, with its details. */
export function refusalError({ code, field, message, retryDelayMs }: Refusal): ConnectError {
  if (code === unavailable && retryDelayMs === 0) return new ConnectError(message, codes[code]);
  const detail =
    code === invalidArgument
      ? { desc: BadRequestSchema, value: { fieldViolations: [{ field, description: message }] } }
      : {
          desc: RetryInfoSchema,
          value: {
            retryDelay: {
              seconds: BigInt(Math.floor(retryDelayMs / 1000)),
              nanos: (retryDelayMs % 1000) * 1_000_000,
            },
          },
        };
  return new ConnectError(message, codes[code], undefined, [detail]);
}

const internal: number = Code.Internal;
const exhausted: number = Code.ResourceExhausted;

/**
 * connect-node answers bytes that are no message, and compressed ones whose encoding was not named, with INTERNAL, and
 * too many bytes with RESOURCE_EXHAUSTED. All are the sender's mistake, and either code would make a device send them
 * again. Returns undefined for any other error.
 */
export function sendersMistake(code: number, message: string): ConnectError | undefined {
  const malformed = code === internal && message.startsWith("parse binary: ");
  const compressed =
    code === internal &&
    (message.startsWith("received compressed envelope") || message === "decompression failed");
  const tooLarge = code === exhausted && message.includes("readMaxBytes");
  if (!malformed && !compressed && !tooLarge) return undefined;
  const problem = malformed ? message.replace("parse binary:", "is not an encoded message:") : message;
  return refusalError({
    code: invalidArgument,
    field: "request",
    message: malformed ? `request ${problem}` : problem,
    retryDelayMs: 0,
  });
}
