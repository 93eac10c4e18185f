import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "ioredis";
import { readConnection } from "#stream/connection.ts";
import { allShards } from "#stream/keys.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createFixture, holdEntries, makeEntry, records, shardCount } from "../testing/fixture.ts";
import { createSource } from "./source.ts";

test("after a failed read the next one starts with the entries that Redis delivered in a lost reply", async () => {
  await using fixture = await createFixture();
  const readRedis = new Redis(fixture.redisUrl, readConnection);
  readRedis.on("error", () => {}); // the test breaks the connection
  fixture.stack.defer(() => readRedis.disconnect());
  await waitFor("the connection", () => readRedis.status === "ready");
  const options = { shards: allShards(shardCount), consumer: "consumer-1", bytesMax: 4 << 20 };
  const source = createSource(readRedis, fixture.redis, options);
  // The group is created, its own pending list is found empty, and new entries are waited for.
  for (let read = 0; read < 3; read++) await source.read();
  await waitFor("a read to fail", async () => {
    const hasFailed = source.read().then(
      () => false,
      () => true,
    );
    await fixture.redis.call("client", "kill", "type", "normal", "skipme", "yes");
    return hasFailed;
  });
  // Pending for this consumer, which never got it.
  await holdEntries(fixture, "consumer-1", [makeEntry(1, records(1))]);
  const delivered = await waitFor("the entry", async () => {
    const { entries } = await source.read();
    return entries.length > 0 && entries.map(({ entry }) => Number(entry.sequence));
  });
  assert.deepEqual(delivered, [1]);
});
