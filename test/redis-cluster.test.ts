import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Pool } from "pg";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { encodeRecord } from "#client/stream/record.ts";
import { fieldValue } from "#stream/group-info.ts";
import { streamKey, toShard } from "#stream/keys.ts";
import { RedisCluster } from "./support/redis-cluster.ts";
import { startSystem, type TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

const shards = 6;

/**
 * A replica follows its master at once, but the master does not wait for it: what a master acknowledged just before it
 * died may never have left it. Redis promises no more; on loopback it is milliseconds.
 */
const windowMs = 1_000;

let cluster: RedisCluster;
let system: TestSystem;
before(async () => {
  cluster = await RedisCluster.start();
  const toEnv = (name: "server" | "consumer" | "gateway") => ({
    REDIS_URL: cluster.urlFor(name),
    STREAM_SHARDS: String(shards),
  });
  system = await startSystem({
    env: { server: toEnv("server"), consumer: toEnv("consumer"), gateway: toEnv("gateway") },
  });
});
after(async () => {
  await system?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

test("a slot that moves and a master that is killed under load: nothing is doubled, nothing lost beyond what Redis may lose, and nothing at all of who keeps until committed", async () => {
  await using fleet = new Fleet(system.grpcAddress);
  await fleet.acknowledged(20);

  const moving = streamKey(0);
  const from = await cluster.masterOf(moving);
  const to = await cluster.masterOf(streamKey((await shardElsewhere(from.id))!));
  await cluster.moveSlot(moving, to);
  await fleet.acknowledged(20);

  const victim = await cluster.masterOf(streamKey(1));
  const killedAt = performance.now();
  await victim.kill();
  await fleet.acknowledged(20, 60_000);
  await fleet.stop();

  const mustBeThere = fleet.acks.filter(
    ({ isKept, atMs }) => isKept || atMs < killedAt - windowMs || atMs > killedAt,
  );
  const stored = await storedMessages(mustBeThere.map(({ message }) => message));
  assert.deepEqual(
    [...stored].filter(([, count]) => count > 1),
    [],
  );

  /** A shard whose master is another one. */
  async function shardElsewhere(id: string): Promise<number | undefined> {
    for (let shard = 0; shard < shards; shard += 1) {
      if ((await cluster.masterOf(streamKey(shard))).id !== id) return shard;
    }
    return undefined;
  }
});

test("all programs are ready on a cluster, and the gateway reports its lag", async () => {
  const response = await fetch(`${system.httpUrl}/v1/statistics`);
  const { lag } = (await response.json()) as { lag?: unknown };
  assert.ok(lag, "no lag in the statistics");
});

test("live tail follows all shards of a cluster", async () => {
  const wanted = Array.from({ length: shards }, (_, shard) => deviceOnShard(shard, 100 + shard));
  const response = await fetch(`${system.httpUrl}/v1/tail?text=followed`, {
    signal: AbortSignal.timeout(30_000),
  });
  const seen = new Set<string>();
  let text = "";
  for await (const chunk of response.body!) {
    text += Buffer.from(chunk).toString();
    if (text.includes("event: state") && seen.size === 0) {
      seen.add("begun");
      await Promise.all(wanted.map((deviceId) => push(deviceId, `followed ${deviceId}`)));
    }
    for (const deviceId of wanted) if (text.includes(`followed ${deviceId}`)) seen.add(deviceId);
    if (seen.size > wanted.length) break;
  }
  assert.deepEqual(seen, new Set(["begun", ...wanted]));
});

test("no user was denied a command that its program needs", async () => {
  const denied: unknown[] = [];
  for (const { admin, isAlive } of cluster.nodes) {
    const log = isAlive ? ((await admin.call("ACL", "LOG")) as unknown[][]) : [];
    denied.push(...log.map((entry) => [fieldValue(entry, "username"), fieldValue(entry, "object")]));
  }
  assert.deepEqual(denied, []);
});

async function push(deviceId: string, message: string): Promise<void> {
  const response = await fetch(`${system.httpUrl}/fleetlog.v1.IngestService/PushLogs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ batch: { deviceId, records: [{ message }] } }),
  });
  assert.equal(response.status, 200);
}

interface AcknowledgedRecord {
  readonly message: string;
  readonly atMs: number;
  /** Its device keeps it until it is committed. */
  readonly isKept: boolean;
}

/** Two devices on every shard, each sending one record at a time; one of them forgets a batch when it is accepted. */
class Fleet {
  readonly acks: AcknowledgedRecord[] = [];
  readonly #streams: DeviceStream<string>[];
  readonly #loops: Promise<void>[];
  readonly #counts: number[];
  #stopping = false;

  constructor(address: string) {
    const deviceIds = Array.from({ length: 2 * shards }, (_, n) => deviceOnShard(n % shards, n));
    this.#counts = deviceIds.map(() => 0);
    this.#streams = deviceIds.map(
      (deviceId, index) =>
        new DeviceStream<string>({
          deviceId,
          address,
          keepUntil: index < shards ? "accepted" : "committed",
          backoff: { baseMs: 30, capMs: 300 },
          onAcknowledged: ({ note }) => {
            this.acks.push({ message: note, atMs: performance.now(), isKept: index >= shards });
            this.#counts[index]! += 1;
          },
        }),
    );
    this.#loops = this.#streams.map((stream, index) => this.#send(stream, deviceIds[index]!));
  }

  /** Waits until every device has this many more acknowledgements. */
  async acknowledged(more: number, deadlineMs = 30_000): Promise<void> {
    const wanted = this.#counts.map((count) => count + more);
    await waitFor(
      `${more} more acknowledgements for every device`,
      () => this.#counts.every((count, index) => count >= wanted[index]!),
      deadlineMs,
    );
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#loops);
    await Promise.all(this.#streams.map((stream) => stream.flush(60_000)));
  }

  async #send(stream: DeviceStream<string>, deviceId: string): Promise<void> {
    for (let number = 1; !this.#stopping; number += 1) {
      const message = `${deviceId} ${number}`;
      await stream.send([encodeRecord({ message })], message);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    for (const stream of this.#streams) stream.close();
    await Promise.allSettled(this.#loops);
  }
}

function deviceOnShard(shard: number, number: number): string {
  for (let salt = 0; ; salt += 1) {
    const deviceId = `cluster-${number}-${salt}`;
    if (toShard(deviceId, shards) === shard) return deviceId;
  }
}

/** How often each message is stored, once all of these are. */
async function storedMessages(wanted: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const pool = new Pool({ connectionString: system.databaseUrl });
  try {
    return await waitFor("the acknowledged records in PostgreSQL", async () => {
      const { rows } = await pool.query<{ message: string; count: number }>(
        "SELECT message, count(*)::int AS count FROM logs GROUP BY message",
      );
      const stored = new Map(rows.map(({ message, count }) => [message, count]));
      const missing = wanted.filter((message) => !stored.has(message));
      if (missing.length > 0)
        throw new Error(`${missing.length} are missing: ${missing.slice(0, 5).join(", ")}`);
      return stored;
    });
  } finally {
    await pool.end();
  }
}
