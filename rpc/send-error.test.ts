import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { createAdmission, unknownCaller } from "./admission.ts";
import { retryInfo } from "./error-details.ts";
import { requestError, unknownPath, wrongContentType, wrongMethod } from "./request-error.ts";
import { errorResponse } from "./send-error.ts";

for (const [contentType, error, status, grpcStatus] of [
  [undefined, unknownPath("/x"), 404, undefined],
  ["application/json", wrongMethod("PUT", ["POST"]), 405, undefined],
  ["application/connect+proto", wrongContentType("application/connect+proto", "x"), 415, undefined],
  ["application/grpc", unknownPath("/x"), 200, "12"],
  ["application/grpc-web+proto", wrongMethod("PUT", ["POST"]), 200, "12"],
  ["application/grpc", requestError(505, Code.Unimplemented, "needs HTTP/2"), 505, undefined],
  ["application/grpc+proto", wrongContentType("application/grpc+proto", "x"), 415, undefined],
] as const) {
  test(`${error.httpStatus} for ${contentType} is HTTP ${status}, with gRPC's status ${grpcStatus}`, () => {
    const response = errorResponse(contentType, error);
    const headers: Record<string, string> = response.headers;
    assert.deepEqual([response.status, headers["grpc-status"]], [status, grpcStatus]);
    if (grpcStatus !== undefined) return;
    const { code, message, details } = JSON.parse(response.body) as Record<string, unknown>;
    assert.ok(code && message && Array.isArray(details));
    assert.equal(headers["content-type"], "application/json");
  });
}

test("an error that says when to retry has a Retry-After, and a wrong method those that are allowed", () => {
  const error = new ConnectError("busy", Code.Unavailable, undefined, [retryInfo(2_000)]);
  assert.equal(errorResponse(undefined, { error, httpStatus: 503 }).headers["retry-after"], "2");
  const { headers } = errorResponse(undefined, wrongMethod("PUT", ["POST", "GET"]));
  assert.equal((headers as Record<string, string>)["allow"], "POST, GET");
});

test("a request is identified only after its host was checked", () => {
  let identified = 0;
  const admit = createAdmission(
    ({ rawHeaders }) => (rawHeaders.includes("evil.example") ? "not allowed" : undefined),
    () => {
      identified += 1;
      return unknownCaller;
    },
  );
  const refused = admit({ rawHeaders: ["Host", "evil.example"], headers: {} });
  assert.ok("error" in refused && refused.httpStatus === 421 && identified === 0);
  assert.equal(admit({ rawHeaders: ["Host", "localhost"], headers: {} }), unknownCaller);
});
