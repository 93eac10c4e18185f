import { AssertionError } from "node:assert";
import { DatabaseError } from "pg";

/**
 * The cause of a failed flush, which decides what happens next:
 * - `outage`: PostgreSQL or the connection to it. Retry the same flush without limit; nothing counts against the data.
 * - `data`: PostgreSQL refuses some of the data. Find it, move it to dead_letters, store the rest.
 * - `setup`: the database is not as this program needs it. Retry without limit, and log an error: an operator has to
 *   act, a restart does not help.
 * - `bug`: a bug of ours. The process dies and is restarted.
 */
export type ErrorClass = "outage" | "data" | "setup" | "bug";

/** SQLSTATEs by their first two characters, https://www.postgresql.org/docs/18/errcodes-appendix.html */
const classes: Readonly<Record<string, ErrorClass>> = {
  "08": "outage", // connection exception
  "40": "outage", // transaction rollback: deadlock, serialization failure
  "53": "outage", // insufficient resources: disk full, out of memory, too many connections
  "55": "outage", // object not in prerequisite state: lock not available, in use
  "57": "outage", // operator intervention: shutdown, starting up, cancelled, statement timeout
  "58": "outage", // system error: input/output error
  "22": "data", // data exception: out of range, bad UTF-8, NUL, bad JSON
  "23": "data", // integrity constraint violation, an operator's CHECK included
  "54": "data", // program limit exceeded: a row too long for its index
  "28": "setup", // invalid authorization
  "3D": "setup", // no such database
  "42": "setup", // no such table or column, no privilege: migrations are missing
  P0: "data", // raised by a trigger of the operator
  XX: "setup", // internal error, data corrupted
};

/** SQLSTATEs that differ from their class. */
const exceptions: Readonly<Record<string, ErrorClass>> = {
  "25006": "outage", // read-only transaction: a standby, or a primary after failover
  "25P02": "outage", // transaction aborted, by an error that this process did not see
  "25P03": "outage", // idle in transaction for too long: this process was paused
  "25P04": "outage", // transaction timeout
  "21000": "bug", // one statement would change a row twice: an aggregation is missing
};

/** An error without SQLSTATE comes from the driver or the socket, except for kinds that only a bug throws. */
export function classifyError(error: unknown): ErrorClass {
  if (error instanceof DatabaseError) return classifySqlState(error);
  const bugs = [TypeError, RangeError, ReferenceError, SyntaxError, AssertionError];
  return bugs.some((kind) => error instanceof kind) ? "bug" : "outage";
}

function classifySqlState({ code = "", constraint, table }: DatabaseError): ErrorClass {
  // The partition of the day was attached while the row was being written to record_batches_default: the retry finds it.
  if (code === "23514" && constraint === undefined && table === "record_batches_default") return "outage";
  // Two batches of one millisecond got the same counter: the next attempt gets other ids.
  if (code === "23505" && constraint === "batches_pkey") return "outage";
  // Rows of a batch that the ledger took for new are there already.
  if (code === "23505" && table?.startsWith("record_batches")) return "bug";
  return exceptions[code] ?? classes[code.slice(0, 2)] ?? "setup";
}

/** Label of the retry metric: the SQLSTATE class, or "connection". */
export function sqlStateClass(error: unknown): string {
  return error instanceof DatabaseError ? (error.code ?? "").slice(0, 2) : "connection";
}
