import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { execa } from "execa";
import { Redis } from "ioredis";
import { projectFolder } from "#dev/folders.ts";
import { type RunningRedis, startRedis } from "#dev/redis.ts";
import { ensureRedisUsers } from "#dev/redis-users.ts";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { encodeRequest, encodeSubscription, makeBatch } from "#server/testing/batches.ts";
import { connectGrpc, openStream } from "#server/testing/grpc-device.ts";
import { readPositions } from "#stream/epoch.ts";
import { streamKey } from "#stream/keys.ts";
import { startSystem, type TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

// Who may do what in Redis: deploy/redis/users.acl, as every whole-system test runs with it.

let system: TestSystem;
let admin: Redis;
before(async () => {
  system = await startSystem({ servers: 1 });
  admin = new Redis(system.redis.url);
});
after(async () => {
  admin?.disconnect();
  await system?.[Symbol.asyncDispose]();
});

/** Commands that were refused, as `user: command`. */
async function denied(): Promise<string[]> {
  const log = (await admin.call("ACL", "LOG")) as unknown[][];
  return log.map((entry) => {
    const value = (name: string) => String(entry[entry.indexOf(name) + 1]);
    return `${value("username")}: ${value("object")} (${value("reason")})`;
  });
}

async function wasSent(command: string): Promise<boolean> {
  return (await admin.info("commandstats")).includes(`cmdstat_${command}:`);
}

async function everythingWorks(t: TestContext): Promise<void> {
  const stream = openStream(connectGrpc(t, system.grpcAddress));
  stream.send(encodeSubscription("boot-1"));
  for (let n = 1; n <= 20; n++) stream.send(encodeRequest(makeBatch(n)));
  await waitFor("all of it to be committed", () => Number(stream.progress.at(-1)?.committedThrough) === 20);
  const transport = createConnectTransport({ baseUrl: system.httpUrl, httpVersion: "1.1" });
  const client = createClient(QueryService, transport);
  const { logs } = await client.listLogs({ pageSize: 1 });
  assert.equal(logs[0]?.deviceId, "device-1");
  await waitFor("no lag", async () => (await client.getStatistics({})).lag?.undeliveredBatchCount === 0n);
  for await (const { event } of client.tailLogs({ last: 1 }, { timeoutMs: 20_000 })) {
    if (event.case === "state") break; // it follows the streams
  }
}

test("no program needs more permissions than its user has", async (t) => {
  await everythingWorks(t);
  const consumer = await (await fetch(`http://${system.consumer.addresses.admin}/metrics`)).text();
  assert.match(consumer, /fleetlog_redis_memory_bytes\{[^}]*\} [1-9]/);
  // Trimming, takeover, lag and history come every few seconds.
  for (const command of ["xtrim", "xautoclaim", "xgroup|setid", "llen"])
    await waitFor(command, () => wasSent(command));
  const { stdout, exitCode } = await execa(
    process.execPath,
    [join(projectFolder, "doctor/main.ts"), "--json"],
    {
      env: { DATABASE_URL: system.databaseUrl, REDIS_URL: system.redis.urlFor("doctor") },
      reject: false,
    },
  );
  const { findings } = JSON.parse(stdout) as { findings: { check: string; state: string; found: string }[] };
  const bad = findings.filter(({ check, state }) => check.startsWith("redis") && state === "fail");
  assert.deepEqual(bad, [], String(exitCode));
  assert.deepEqual(await denied(), []);
});

async function readEpochs(redis: RunningRedis): Promise<string[]> {
  const client = new Redis(redis.urlFor("server"), { disableClientInfo: true });
  const positions = await readPositions(client, [0, 1]).finally(() => client.disconnect());
  return positions.map(({ epoch }) => epoch);
}

test("changes made by a program's script survive a restart", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "fleetlog-redis-users-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const users = await ensureRedisUsers(folder);
  const first = await startRedis(folder, {}, users);
  const before = await readEpochs(first).finally(() => first.child.kill());
  await first.child.exited;
  const second = await startRedis(folder, {}, users);
  t.after(() => second.stop());
  assert.deepEqual(await readEpochs(second), before);
});

test("without a password no command works, not even PING", async () => {
  const anonymous = new Redis(`redis://127.0.0.1:${system.redis.port}`, { enableReadyCheck: false });
  anonymous.on("error", () => {}); // its greeting is refused, too
  try {
    for (const command of [
      ["ping"],
      ["info"],
      ["xadd", streamKey(0), "*", "a", "b"],
      ["flushall"],
      ["keys", "*"],
    ])
      await assert.rejects(anonymous.call(command[0]!, ...command.slice(1)), /NOAUTH/);
  } finally {
    anonymous.disconnect();
  }
});

const key = streamKey(0);
const refusedToAll = [
  ["flushall"],
  ["flushdb"],
  ["del", key],
  ["xdel", key, "1-0"],
  ["keys", "*"],
  ["config", "set", "appendfsync", "no"],
  ["debug", "sleep", "0"],
  ["acl", "list"],
  ["client", "list"],
  ["monitor"],
  ["shutdown"],
  ["replicaof", "no", "one"],
  ["save"],
  ["xgroup", "destroy", key, "consumers"],
  ["set", "another-key", "1"],
  ["get", "another-key"],
] as const;
const refused = {
  server: [
    ["xrange", key, "-", "+"],
    ["xread", "streams", key, "0"],
    ["xreadgroup", "group", "consumers", "c", "streams", key, ">"],
    ["xack", key, "consumers", "1-0"],
    ["xtrim", key, "maxlen", "0"],
    ["set", "fleetlog:{0}:verified", "x"],
    ["get", "fleetlog-cache:x"],
  ],
  consumer: [
    ["get", "fleetlog-cache:x"],
    ["config", "get", "*"],
  ],
  gateway: [
    ["xadd", key, "*", "a", "b"],
    ["xack", key, "consumers", "1-0"],
    ["xtrim", key, "maxlen", "0"],
    ["set", "fleetlog:{0}:verified", "x"],
    ["spublish", "fleetlog:{0}:progress", "x"],
  ],
  doctor: [
    ["xadd", key, "*", "a", "b"],
    ["set", "fleetlog-cache:x", "1"],
  ],
} as const;

for (const [user, own] of Object.entries(refused)) {
  test(`the user ${user} may not do what ${user} does not do`, async () => {
    const redis = new Redis(system.redis.urlFor(user as keyof typeof refused));
    try {
      for (const [name, ...args] of [...refusedToAll, ...own])
        await assert.rejects(
          redis.call(name, ...args),
          /NOPERM|DEBUG command not allowed/,
          [name, ...args].join(" "),
        );
    } finally {
      redis.disconnect();
    }
  });
}

test("only their owner can read passwords and data", () => {
  const { folder } = system;
  const modeOf = (path: string) => (statSync(join(folder, path)).mode & 0o777).toString(8);
  assert.deepEqual(
    ["redis-passwords.json", "redis-users.acl", "redis.conf", "redis", "redis/appendonlydir"].map(modeOf),
    ["600", "600", "600", "700", "700"],
  );
});
