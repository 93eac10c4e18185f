import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { createRpcMetrics } from "./call-metrics.ts";
import { observeStream } from "./observe-stream.ts";

const connectionError = Object.assign(new Error("The stream has been destroyed"), {
  code: "ERR_HTTP2_INVALID_STREAM",
});

interface Case {
  readonly when: string;
  readonly code: string;
  /** What the handler ends with after its two messages. */
  readonly failure?: Error;
  readonly use: (stream: AsyncGenerator<number>) => Promise<void>;
}

const cases: readonly Case[] = [
  {
    when: "the last message was read",
    code: "OK",
    use: async (stream) => assert.deepEqual(await Array.fromAsync(stream), [1, 2]),
  },
  {
    when: "the client stops reading",
    code: "Canceled",
    use: async (stream) => {
      await stream.next();
      await stream.return(undefined);
    },
  },
  {
    when: "a message cannot be written, because the client hung up",
    code: "Canceled",
    use: async (stream) => {
      await stream.next();
      await assert.rejects(stream.throw(connectionError), connectionError);
    },
  },
  {
    when: "the handler fails",
    code: "Internal",
    failure: new Error("broken"),
    use: (stream) => assert.rejects(Array.fromAsync(stream), { message: "mapped: broken" }),
  },
];

for (const { when, code, failure, use } of cases) {
  test(`a stream counts once, as ${code}, when ${when}; its messages are closed`, async () => {
    const registry = createRegistry("test");
    const end = createRpcMetrics(registry)("bidi_stream", "Service", "Method");
    let isClosed = false;
    async function* messages() {
      try {
        yield* [1, 2];
        if (failure) throw failure;
      } finally {
        isClosed = true;
      }
    }
    const stream = observeStream(messages(), end, (error) => {
      end("INTERNAL");
      return new Error(`mapped: ${(error as Error).message}`);
    });
    await use(stream);
    assert.equal(isClosed, true);
    const metrics = await registry.metrics();
    const counted = [...metrics.matchAll(/grpc_code="(\w+)".*\} (\d+)$/gm)].map(([, ...found]) => found);
    assert.deepEqual(counted, [[code, "1"]]);
  });
}
