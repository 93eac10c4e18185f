import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Redis } from "ioredis";
import { StoredLogs } from "#client/testing/stored-logs.ts";
import { device, type TestDevice, toBatch } from "#client/testing/test-device.ts";
import { ConnectTransport } from "#client/transports/connect-transport.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";

// Devices that keep their batches until they are committed, and the whole of Fleetlog, which loses its Redis.

let system: TestSystem;
let stored: StoredLogs;
let redis: Redis;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetlog-lost-redis-"));
  system = await startSystem({ env: { server: { HEARTBEAT_SECONDS: "1" } } });
  stored = new StoredLogs(system.databaseUrl);
  redis = new Redis(system.redis.url);
});
after(async () => {
  redis?.disconnect();
  await stored?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const toMessages = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name} ${n}`);

async function assertStoredOnce(deviceId: string, messages: readonly string[]): Promise<void> {
  const records = await stored.toRecords(deviceId, messages.length);
  assert.deepEqual(records.map(({ message }) => message).toSorted(), messages.toSorted());
}

/**
 * Loses all data of Redis between an ack and its commit, while the consumer that would have stored it is
 * stopped.
 */
async function loseEverything(sender: TestDevice, messages: readonly string[]): Promise<void> {
  await system.consumer.stop();
  await sender.send(...messages);
  await waitFor("the acks", () => sender.acknowledged.length >= messages.length);
  assert.equal(sender.committed.length, 0);
  await redis.flushall();
  await system.consumer.start();
}

describe("a batch that was acknowledged and then lost with Redis", () => {
  test("is stored once, from a stream", async () => {
    const messages = toMessages("stream", 50);
    using sender = device({ deviceId: "stream", address: system.grpcAddress, keepUntil: "committed" });
    await loseEverything(sender, messages);
    await sender.stream.flush(60_000);
    await assertStoredOnce("stream", messages);
    assert.deepEqual(sender.acknowledged.toSorted(), messages.toSorted());
  });

  test("is stored once, over Connect", async () => {
    const messages = toMessages("connect", 20);
    using transport = new ConnectTransport({ baseUrl: system.httpUrl });
    const options = { keepUntil: "committed", commitPollMs: 100, commitTimeoutMs: 1_000 } as const;
    using sender = device({ deviceId: "connect", transport, ...options });
    await loseEverything(sender, messages);
    await sender.stream.flush(60_000);
    await assertStoredOnce("connect", messages);
  });

  test("is stored once, from a spool, by another process than the one that received the acks", async () => {
    const messages = toMessages("spool", 50);
    const options = { deviceId: "spool", address: system.grpcAddress, spool: { folder } } as const;
    {
      using sender = device({ ...options, keepUntil: "committed" });
      await loseEverything(sender, messages);
    }
    using next = device({ ...options, keepUntil: "committed" });
    await next.stream.flush(60_000);
    await assertStoredOnce("spool", messages);
  });

  test("is stored once, however often Redis is lost while batches stream", async () => {
    const messages: string[] = [];
    using sender = device({ deviceId: "often", address: system.grpcAddress, keepUntil: "committed" });
    for (let loss = 0; loss < 4; loss++) {
      const until = messages.length + 200;
      while (messages.length < until) {
        const message = `often ${messages.length}`;
        messages.push(message);
        await sender.stream.send(toBatch(message), message);
      }
      await redis.flushall();
    }
    await sender.stream.flush(60_000);
    await assertStoredOnce("often", messages);
  });
});
