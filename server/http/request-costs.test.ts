import { after, test } from "node:test";
import { Http2Calls } from "#test/fuzz/http-calls.ts";
import * as requests from "../testing/log-request-costs.ts";
import { assertCosts, ratioMax } from "../testing/measure-costs.ts";
import { startServerAndRedis } from "../testing/server-program.ts";

const { server } = await startServerAndRedis({ after });

for (const [transport, what, address] of [
  ["ingest", "/v1/ingest", server.http],
  ["otlp", "OTLP/HTTP", server.http],
  ["otlp-grpc", "OTLP/gRPC", server.grpc],
] as const) {
  test(`no request costs more than ${ratioMax} times an honest one of the same size, on ${what}`, async (t) => {
    const connection = new Http2Calls(address);
    t.after(() => connection.close());
    await assertCosts(t, server, connection, transport, requests);
  });
}
