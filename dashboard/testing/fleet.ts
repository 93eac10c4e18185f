import type { Pool } from "pg";
import { openPool } from "#gateway/testing/open-pool.ts";
import { type SeedBatch, type SeedDrop, type SeedRecord, seed, seedDrop } from "#gateway/testing/seed.ts";
import { startGateway } from "#gateway/testing/start-gateway.ts";
import { createDatabase } from "#test/support/postgres.ts";

/** 2026-01-10T12:00:00Z */
export const noon = 1_768_046_400_000_000n;
export const minute = 60_000_000n;

/** A gateway with its dashboard over `batches` and `drops`. */
export async function startFleet(
  batches: readonly SeedBatch[],
  { redisUrl, drops = [] }: { redisUrl?: string; drops?: readonly SeedDrop[] } = {},
) {
  const database = await createDatabase();
  const pool = openPool(database.url);
  await seed(pool, batches);
  for (const drop of drops) await seedDrop(pool, drop);
  await countAll(pool);
  const gateway = await startGateway(database.url, redisUrl === undefined ? {} : { redisUrl });
  return {
    url: gateway.url,
    pool,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await pool.end();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** The counts that the consumer updates as it stores. */
async function countAll(pool: Pool): Promise<void> {
  await pool.query(`update devices set error_count = (
    select count(*) from logs where logs.device_id = devices.device_id and severity >= 17)`);
}

export const sampleTrace = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "00f067aa0ba902b7",
  eventName: "motor.overheated",
};

/** The same 1,300 records in every run: two sensors and a pump over one hour, the last at noon. */
export function sampleBatches(): SeedBatch[] {
  const batches: SeedBatch[] = [];
  for (let sequence = 1; sequence <= 26; sequence += 1) {
    if (sequence === 9 || sequence === 10) continue; // missing batches
    const receivedMicros = noon - 60n * minute + BigInt(sequence) * 2n * minute;
    batches.push({
      deviceId: sequence % 2 === 0 ? "sensor-1" : "sensor-2",
      sessionId: "boot",
      sequence: Math.ceil(sequence / 2),
      receivedMicros,
      records: Array.from({ length: 54 }, (_, place) => sampleRecord(sequence, place, receivedMicros)),
    });
  }
  batches.push({
    deviceId: "pump-7",
    receivedMicros: noon,
    records: [
      {
        timeMicros: noon - 1000n,
        severity: 17,
        logger: "motor.control",
        message: "winding too hot: 131 C",
        attributes: { part: "stator", firmware: "2.4.1" },
        ...sampleTrace,
      },
    ],
  });
  return batches;
}

/** A drop that covers a part of a sensor's missing batches, and a drop without a reason. */
export const sampleDrops: readonly SeedDrop[] = [
  { deviceId: "sensor-1", sessionId: "boot", first: 14, last: 17, reason: "memory <b>full</b>" },
  { deviceId: "sensor-1", sessionId: "boot", first: 20, last: 20, reason: "" },
];

function sampleRecord(sequence: number, place: number, receivedMicros: bigint): SeedRecord {
  const timeMicros = receivedMicros - BigInt(place) * 1_000_000n;
  if (place % 18 === 0) {
    const attributes = { errno: place === 0 ? "EIO" : "ENOSPC" };
    const message = `write of block ${sequence * 100 + place} failed`;
    return { timeMicros, severity: 17, logger: "storage.flash", message, attributes };
  }
  return {
    timeMicros,
    severity: place % 3 === 0 ? 5 : 9,
    logger: place % 3 === 0 ? "net.mqtt" : "sensor.climate",
    message: `reading ${sequence}-${place}: ${20 + (place % 7)} C`,
  };
}

/** The hour of the samples, for an address of the dashboard. */
export const sampleHour = "from=2026-01-10T11%3A00%3A00Z&to=2026-01-10T12%3A00%3A01Z";
