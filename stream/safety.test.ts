import assert from "node:assert/strict";
import { test } from "node:test";
import { unsafeSettings } from "./safety.ts";
import { connectTo, startTestRedis } from "./testing/redis-clients.ts";

test("the settings that Fleetlog requires are safe", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  assert.deepEqual(await unsafeSettings(redis), []);
});

test("each unsafe setting is named, with its value and the expected one", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  for (const [name, value, safe] of [
    ["appendfsync", "everysec", "always"],
    ["no-appendfsync-on-rewrite", "yes", "no"],
    ["save", "3600 1", ""],
    ["maxmemory-policy", "allkeys-lru", "volatile-lru"],
    ["appendonly", "no", "yes"], // the last: a Redis that was just given an append-only file refuses to stop
  ] as const) {
    await redis.config("SET", name, value);
    const problems = await unsafeSettings(redis);
    assert(
      problems.some((line) => line.startsWith(`Redis: ${name} is "${value}", expected "${safe}":`)),
      `${name}: ${problems.join("; ")}`,
    );
    if (name !== "appendonly") await redis.config("SET", name, safe);
  }
});

test("a replica is not safe", async (t) => {
  const redis = await (await startTestRedis(t)).client();
  await redis.replicaof("127.0.0.1", 1);
  assert.match((await unsafeSettings(redis)).join("\n"), /role is "slave", expected "master"/);
});

test("settings that Redis does not permit to read count as unsafe", async (t) => {
  const server = await startTestRedis(t);
  const redis = await server.client();
  await redis.call("ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all", "-config");
  const limited = await connectTo(t, server.url.replace("redis://", "redis://limited:secret@"));
  assert.match((await unsafeSettings(limited)).join("\n"), /appendfsync is unknown, expected "always"/);
});
