import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "#lib/logger.ts";
import { createRegistry } from "#lib/metrics.ts";
import { decodeRequests, requestsChannel } from "#stream/session-progress.ts";
import { startTestRedis } from "#stream/testing/redis-clients.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { ProgressRequester } from "./requester.ts";

test("requests of one turn are sent once each, 200 in a message, and no more than 10,000", async (t) => {
  const server = await startTestRedis(t);
  const [redis, subscriber] = [await server.client(), await server.client()];
  const messages: string[] = [];
  subscriber.on("smessage", (_channel: string, message: string) => messages.push(message));
  await subscriber.ssubscribe(requestsChannel(0), "end");
  const logger = createLogger("test", "silent");
  const requester = new ProgressRequester({ redis, shards: 1, registry: createRegistry("test"), logger });
  const ask = (n: number) => requester.request({ deviceId: `d${n}`, sessionId: "s", withRanges: false });
  for (let n = 0; n < 300; n++) ask(n % 250);
  for (let n = 250; n < 10_500; n++) ask(n);
  setImmediate(() => void redis.spublish("end", "[]"));
  await waitFor("all messages", () => messages.at(-1) === "[]");
  const counts = messages.slice(0, -1).map((message) => decodeRequests(message).length);
  assert.deepEqual(counts, Array(50).fill(200));
  const devices = messages.flatMap(decodeRequests).map(({ deviceId }) => deviceId);
  assert.equal(new Set(devices).size, 10_000);
});
