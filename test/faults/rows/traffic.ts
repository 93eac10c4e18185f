import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { digest } from "#batch/digest.ts";
import { scan } from "#batch/scan.ts";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { createLogger } from "#lib/logger.ts";
import { ensurePartitions } from "#postgres/partitions.ts";
import { createDatabase, createPool } from "#postgres/pool.ts";
import { unwrapRequest } from "#server/unwrap-request.ts";
import { encodeEntry } from "#stream/entry.ts";
import { streamKey, toShard } from "#stream/keys.ts";
import { growth } from "../counters.ts";
import { openBatch, post, pushUntilAccepted, toRequest } from "../devices.ts";
import { type Evidence, type Fault, type Scene, words } from "../fault.ts";
import { type Fixture, shardCount } from "../fixture.ts";
import type { JournalBatch } from "../journal.ts";

// Nothing breaks here: it is the devices that behave in ways which the ledger of batches has to see through.

const dayMicros = 86_400_000_000n;
const rightTime = () => BigInt(Date.now()) * 1_000n;

export const trafficRows: readonly Fault[] = [
  {
    name: "sent-again",
    title: "Every batch sent 1 to 5 times, in any order, through different servers",
    runsFull: 10,
    async inject(scene) {
      const { fixture, random, journal, fleet, before } = scene;
      const dependencies = createDependencies(scene, "repeating");
      const batches = Array.from({ length: 60 }, (_, at) => openBatch(dependencies, BigInt(at + 1)));
      const copies = random.shuffle(
        batches.flatMap((batch) => Array.from({ length: 1 + random.below(5) }, () => batch)),
      );
      const lanes = Array.from({ length: 8 }, async () => {
        for (let batch = copies.pop(); batch !== undefined; batch = copies.pop()) {
          const server = random.pick(fixture.system.servers).addresses.http;
          const signal = AbortSignal.timeout(30_000);
          await pushUntilAccepted({ journal, random, tally: fleet.tally, signal }, batch, (request) =>
            post(`http://${server}`, request),
          );
        }
      });
      await Promise.all(lanes);
      return came(before);
    },
  },
  {
    name: "two-streams",
    title: "One device on two streams at once, the same batches on both",
    runsFull: 10,
    async inject(scene) {
      const { fixture, journal, before } = scene;
      const dependencies = createDependencies(scene, "twice");
      const batches = Array.from({ length: 60 }, (_, at) => openBatch(dependencies, BigInt(at + 1)));
      const streams = [1, 2].map(async () => {
        using stream = new DeviceStream<JournalBatch>({
          deviceId: dependencies.deviceId,
          sessionId: "boot-1",
          address: fixture.hops.deviceGrpc.address,
          backoff: { baseMs: 30, capMs: 500 },
          onAcknowledged: ({ note }, ack) => journal.acknowledge(note, ack),
          onRefused: ({ note }, error) => journal.refuse(note, error),
        });
        for (const batch of batches) {
          const records = batch.records.map(({ bytes }) => bytes);
          await stream.send(records, batch);
        }
        await stream.flush(30_000);
      });
      await Promise.all(streams);
      return came(before);
    },
  },
  {
    name: "session-reused",
    title: "A session id used again with other content: both stored, and reported",
    runsFull: 5,
    async inject(scene) {
      const { fixture, journal, random, fleet } = scene;
      const dependencies = createDependencies(scene, "reusing");
      const lives = [1, 2].map(() =>
        Array.from({ length: 10 }, (_, at) => openBatch(dependencies, BigInt(at + 1))),
      );
      for (const batch of lives.flat()) {
        const signal = AbortSignal.timeout(30_000);
        await pushUntilAccepted({ journal, random, tally: fleet.tally, signal }, batch, (request) =>
          post(`http://${fixture.hops.deviceHttp.address}`, request),
        );
      }
      const incidents = () =>
        count(
          fixture,
          "incidents join devices on key = device_key where kind = 'sequence_reused' and device_id",
          dependencies.deviceId,
        );
      scene.expect(async () => {
        const seen = await incidents();
        return seen === 10 ? "" : `10 sequences were reused, ${seen} incidents say so`;
      });
      return async () => words(await incidents(), "incidents");
    },
  },
  {
    name: "device-clocks",
    title: "Device clocks at 1970, at 2099, jumping, or none",
    runsFull: 5,
    clock: (random) =>
      random.pick([
        0n,
        BigInt(1 + random.below(1_000)),
        BigInt(Date.UTC(2099, 11, 31)) * 1_000n + BigInt(random.below(1_000_000)),
        BigInt(Date.now()) * 1_000n + dayMicros * BigInt(random.below(800) - 400),
      ]),
    async inject({ fixture, prefix, lasting }) {
      await sleep(lasting(1, 3));
      return async () => {
        const early = await count(
          fixture,
          "logs where extract(year from time) = 1970 and device_id ^@",
          prefix,
        );
        const late = await count(
          fixture,
          "logs where extract(year from time) = 2099 and device_id ^@",
          prefix,
        );
        return early > 0 && late > 0 ? `${early} records of 1970, ${late} of 2099` : "";
      };
    },
  },
  {
    name: "midnight",
    title: "The day changes between a batch and its retry; a partition comes late",
    runsFull: 5,
    async inject(scene) {
      const { fixture, journal, random, run, before } = scene;
      const dependencies = createDependencies(scene, "midnight");
      // The last midnight, around which days have their partitions, and an earlier one per run, before which the day has none:
      // its records wait in record_batches_default. Beyond a week consumers do not believe when a batch was received.
      const midnights = [0, 2 + (run % 5)].map(
        (daysAgo) => ((BigInt(Date.now()) * 1_000n) / dayMicros - BigInt(daysAgo)) * dayMicros,
      );
      const batches = Array.from({ length: 40 }, (_, at) => openBatch(dependencies, BigInt(at + 1)));
      const append = async (batch: JournalBatch, receivedAtMicros: bigint) => {
        await appendRaw(fixture, batch, Number(receivedAtMicros));
        // Redis has answered: that is what a device sees.
        const bad = batch.records.flatMap(({ isBad }, index) => (isBad ? [index] : []));
        if (bad.length === 0) journal.acknowledge(batch, { accepted: batch.records.length, rejections: [] });
      };
      for (const batch of batches)
        await append(batch, random.pick(midnights) - BigInt(1 + random.below(1_000)));
      const makeLatePartition = createLatePartitions(fixture, Number(midnights[1]! / 1_000n));
      for (const batch of batches) await append(batch, random.pick(midnights) + BigInt(random.below(1_000)));
      const created = await makeLatePartition;
      return (after) => {
        const duplicates = growth(before, after, "fleetlog_consumed_batches_total", 'outcome="duplicate"');
        return created > 0
          ? words(duplicates, `batches came again after midnight, ${created} partitions came late`)
          : "";
      };
    },
  },
];

function createDependencies({ prefix, journal, secrets, random, fleet }: Scene, name: string) {
  const signal = AbortSignal.timeout(60_000);
  return {
    deviceId: `${prefix}${name}`,
    journal,
    secrets,
    random,
    tally: fleet.tally,
    clock: rightTime,
    signal,
  };
}

function came(before: Scene["before"]): Evidence {
  return (after) =>
    words(
      growth(before, after, "fleetlog_consumed_batches_total", 'outcome="duplicate"'),
      "batches recognised",
    );
}

/** Appends a batch as a server would at another time of day. */
async function appendRaw(
  { redisAdmin }: Fixture,
  batch: JournalBatch,
  receivedAtMicros: number,
): Promise<void> {
  const { batch: bytes } = unwrapRequest(toRequest(batch));
  const entry = { ...batch, receivedAtMicros, digest: digest(scan(bytes)), batch: bytes };
  await redisAdmin.xadd(streamKey(toShard(batch.deviceId, shardCount)), "*", ...encodeEntry(entry));
}

/** What a consumer does every hour, as if that hour had come; returns how many partitions it made. */
async function createLatePartitions({ postgres }: Fixture, nowMs: number): Promise<number> {
  await sleep(150);
  const pool = createPool(
    {
      databaseUrl: postgres.url,
      applicationName: "fleetlog-faults",
      connectionsMax: 1,
      statementTimeoutMs: 10_000,
      lockTimeoutMs: 0,
      connectTimeoutMs: 5_000,
      settings: {},
    },
    createLogger("faults", "silent"),
  );
  try {
    return (await ensurePartitions(createDatabase(pool), { now: new Date(nowMs), daysAhead: 0 })).length;
  } finally {
    await pool.end();
  }
}

/** How many rows `select count(*) from <what> = <value>` finds; `what` may end with another operator. */
async function count({ postgres }: Fixture, what: string, value: string): Promise<number> {
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  try {
    const condition = what.endsWith("^@") ? `${what} $1` : `${what} = $1`;
    const { rows } = await client.query<{ n: number }>(`select count(*)::int as n from ${condition}`, [
      value,
    ]);
    return rows[0]!.n;
  } finally {
    await client.end();
  }
}
