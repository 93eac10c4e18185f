import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { toConnectError } from "./create-handlers.ts";

test("a client that left is CANCELED, however the read of its request says so", () => {
  const errors = [
    Object.assign(new Error("Premature close"), { code: "ERR_STREAM_PREMATURE_CLOSE" }),
    Object.assign(new Error("aborted"), { code: "ECONNRESET" }),
    new DOMException("This operation was aborted", "AbortError"),
  ];
  for (const error of errors) {
    const { code, rawMessage } = toConnectError(error);
    assert.deepEqual([code, rawMessage], [Code.Canceled, "the client disconnected"]);
  }
});

test("any other error is our bug: INTERNAL without its words, which are kept as the cause", () => {
  const error = new TypeError("secret");
  const mapped = toConnectError(error);
  assert.equal(mapped.code, Code.Internal);
  assert.doesNotMatch(mapped.message, /secret/);
  assert.equal(mapped.cause, error);
});

test("an error of a call stays as it is", () => {
  const error = new ConnectError("busy", Code.ResourceExhausted);
  assert.equal(toConnectError(error), error);
});
