import assert from "node:assert/strict";
import { test } from "node:test";
import { DatabaseError } from "pg";
import { classifyError, type ErrorClass, sqlStateClass } from "./postgres-errors.ts";

function databaseError(code: string, constraint?: string): DatabaseError {
  return Object.assign(new DatabaseError("refused", 0, "error"), { code, constraint });
}

const cases: readonly (readonly [code: string, fault: ErrorClass, name: string])[] = [
  ["08006", "outage", "connection failure"],
  ["22021", "data", "character not in repertoire"],
  ["22P05", "data", "untranslatable character"],
  ["23505", "data", "unique violation"],
  ["23514", "data", "check violation"],
  ["25006", "outage", "read-only transaction"],
  ["40P01", "outage", "deadlock detected"],
  ["42P01", "setup", "undefined table"],
  ["53100", "outage", "disk full"],
  ["53300", "outage", "too many connections"],
  ["54000", "data", "program limit exceeded"],
  ["55P03", "outage", "lock not available"],
  ["57014", "outage", "query cancelled"],
  ["57P01", "outage", "admin shutdown"],
  ["58030", "outage", "input/output error"],
  ["28P01", "setup", "invalid password"],
  ["21000", "bug", "cardinality violation"],
  ["F0001", "setup", "one we do not know"],
];

for (const [code, fault, name] of cases) {
  test(`${code}, ${name}, is classified as ${fault}`, () => {
    assert.equal(classifyError(databaseError(code)), fault);
    assert.equal(sqlStateClass(databaseError(code)), code.slice(0, 2));
  });
}

test("a clash of two batch ids is retried with other ids", () => {
  assert.equal(classifyError(databaseError("23505", "batches_pkey")), "outage");
});

test("errors of the socket or the driver are an outage, programming errors a bug", () => {
  assert.equal(
    classifyError(Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })),
    "outage",
  );
  assert.equal(classifyError(new Error("Connection terminated unexpectedly")), "outage");
  assert.equal(sqlStateClass(new Error("Query read timeout")), "connection");
  assert.equal(classifyError(new TypeError("undefined is not a function")), "bug");
});

test("a second row of a batch that counted as new is a bug, and no fault of the data", () => {
  const error = Object.assign(databaseError("23505", "record_batches_20260131_pkey"), {
    table: "record_batches_20260131",
  });
  assert.equal(classifyError(error), "bug");
});

test("a row whose partition was just being attached is retried, and finds it", () => {
  const error = Object.assign(databaseError("23514"), { table: "record_batches_default" });
  assert.equal(classifyError(error), "outage");
  assert.equal(
    classifyError(Object.assign(databaseError("23514", "no_tabs"), { table: "record_batches_default" })),
    "data",
  );
});
