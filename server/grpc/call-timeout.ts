import type { IncomingHttpHeaders } from "node:http2";
import { Code } from "@connectrpc/connect";
import { type RequestError, requestError } from "#rpc/request-error.ts";

/** https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: digits and a unit. */
const form = /^(\d{1,8})([HMSmun])$/;

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Node's timers go no further, and no call lasts as long. */
const timerMsMax = 2 ** 31;

/** Why the call's timeout cannot be read; undefined: it can, or there is none. */
export function rejectMalformedTimeout({
  "grpc-timeout": timeout,
}: IncomingHttpHeaders): RequestError | undefined {
  if (timeout === undefined || form.test(String(timeout))) return undefined;
  const message = `grpc-timeout ${JSON.stringify(timeout)}: send 1 to 8 digits and one of H, M, S, m, u, n`;
  return requestError(400, Code.InvalidArgument, message);
}

/** The ms after which the call ends with DEADLINE_EXCEEDED; undefined: never. */
export function readTimeoutMs({ "grpc-timeout": timeout }: IncomingHttpHeaders): number | undefined {
  const [, digits, unit = ""] = form.exec(String(timeout)) ?? [];
  if (digits === undefined) return undefined;
  const ms = Number(digits) * (unitMs[unit] as number);
  return ms < timerMsMax ? Math.ceil(ms) : undefined;
}
