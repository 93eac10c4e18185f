import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Http1Calls, Http2Calls } from "#test/fuzz/http-calls.ts";
import * as batches from "./request-costs.ts";
import { type CostlyRequest, enveloped } from "./request-costs.ts";
import type { ServerProgram } from "./server-program.ts";

/** What a request may cost, in CPU of the largest honest batch on the same port. */
export const ratioMax = 3;

/**
 * Compares within one run what each request of a transport costs the server;
 * docs/decisions/0022-json-record-by-record.md has a table of it.
 */
export async function assertCosts(
  t: TestContext,
  server: ServerProgram,
  connection: Http2Calls,
  transport: CostlyRequest["transport"],
  { honest, attacks }: { readonly [kind in "honest" | "attacks"]: readonly CostlyRequest[] } = batches,
): Promise<void> {
  let largest = 0;
  for (const request of honest.filter((request) => request.transport === transport)) {
    const ms = await cost(request, 5);
    largest = Math.max(largest, ms);
    t.diagnostic(`${ms.toFixed(1)} ms: ${request.name}, honest`);
  }
  for (const request of attacks.filter((request) => request.transport === transport)) {
    let ratio = Number.POSITIVE_INFINITY;
    // The best of a few rounds: other load on the machine affects some rounds, the cost of a request all of them.
    for (let round = 0; round < 4 && ratio > ratioMax / 2; round++) {
      ratio = Math.min(ratio, (await cost(request, 2)) / largest);
    }
    t.diagnostic(`${ratio.toFixed(2)}: ${request.name}`);
    assert(ratio <= ratioMax, `${request.name} costs ${ratio} times the largest honest batch`);
  }

  /** CPU of one call in ms, the mean of `count`. */
  async function cost(request: CostlyRequest, count: number): Promise<number> {
    await send(request, connection);
    const before = await server.metric("process_cpu_seconds_total");
    for (let call = 0; call < count; call++) await send(request, connection);
    return (((await server.metric("process_cpu_seconds_total")) - before) / count) * 1000;
  }
}

export async function send(
  { transport, path, contentType, isGzip = false, body }: CostlyRequest,
  connection: Http1Calls | Http2Calls,
): Promise<void> {
  const isGrpc = transport.endsWith("grpc");
  const encoding = isGrpc ? "grpc-encoding" : "content-encoding";
  const answer = await connection.send({
    path: path.startsWith("/") ? path : `/fleetlog.v1.IngestService/${path}`,
    headers: {
      "content-type": contentType,
      ...(isGrpc && { te: "trailers" }),
      ...(isGzip && { [encoding]: "gzip" }),
    },
    pieces: [isGrpc ? enveloped(body, isGzip) : body],
    end: "end",
  });
  assert(
    answer.status < 500 && answer.status !== 0,
    `HTTP ${answer.status}: ${answer.body.toString("latin1")}`,
  );
}
