import { Code, ConnectError } from "@connectrpc/connect";
import { DatabaseError } from "pg";
import { toConnectError as toRpcError } from "#rpc/create-handlers.ts";
import { badRequest, retryInfo } from "#rpc/error-details.ts";
import { BusyError } from "../fairness/semaphore.ts";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { QueryTimeoutError } from "./read-pool.ts";

/**
 * Maps an error to the caller's, in one place for every RPC and both transports. An error that is neither the
 * caller's mistake nor a known state of PostgreSQL is our bug: INTERNAL, whose message only goes to the log.
 */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof InvalidFieldError) {
    const { field, description } = error;
    return new ConnectError(error.message, Code.InvalidArgument, undefined, [badRequest(field, description)]);
  }
  if (isTimeout(error)) {
    return new ConnectError(
      "the query timed out: narrow it by device_id, by start_time and end_time, or by min_severity",
      Code.DeadlineExceeded,
    );
  }
  if (error instanceof BusyError)
    return retryLater("too many queries at once", Code.ResourceExhausted, error);
  if (isUnavailable(error)) return retryLater("the database is unreachable or busy", Code.Unavailable, error);
  return toRpcError(error);
}

/** The query did not finish in time. */
export function isTimeout(error: unknown): boolean {
  return (
    error instanceof QueryTimeoutError || (error instanceof DatabaseError && error.code === queryCanceled)
  );
}

/** A temporary error. */
export function retryLater(message: string, code: Code, cause?: unknown): ConnectError {
  return new ConnectError(`${message}: retry in 1 s`, code, undefined, [retryInfo(1000)], cause);
}

/** PostgreSQL is unreachable, starting, stopping or full; or the connection broke, which pg reports without a code. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseError) return unavailableClasses.has(error.code?.slice(0, 2) ?? "");
  if (!(error instanceof Error)) return false;
  if ("syscall" in error || error instanceof AggregateError) return true;
  return /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered)/.test(
    error.message,
  );
}

/**
 * query_canceled: the statement timeout. A cancelled RPC does not get here, for its signal's reason is thrown
 * first.
 */
const queryCanceled = "57014";
/** 08 connection, 25 read-only replica conflicts, 40 recovery conflict, 53 resources, 57 operator intervention. */
const unavailableClasses = new Set(["08", "25", "40", "53", "57"]);
