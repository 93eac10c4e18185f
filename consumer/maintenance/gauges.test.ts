import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { ensurePartitions } from "#postgres/partitions.ts";
import { createDatabase } from "#postgres/pool.ts";
import { createMetrics } from "../metrics.ts";
import { createFixture, openTestPool } from "../testing/fixture.ts";
import { measureDatabase, measureMemory } from "./gauges.ts";

test("measures devices by when they were last seen, and the size of the database", async () => {
  await using fixture = await createFixture();
  await fixture.rows(`insert into devices (device_id, first_seen, last_seen)
    select 'device-' || days, now() - interval '9 days', now() - days * interval '1 day'
    from unnest(array[0, 0, 0.5, 3, 4, 5]) with ordinality as seen (days, number)
    on conflict do nothing`);
  const metrics = createMetrics(createRegistry("consumer"));
  const db = createDatabase(openTestPool(fixture));
  await ensurePartitions(db);
  await measureDatabase(db, metrics);
  const { values } = await metrics.devices.get();
  assert.deepEqual(Object.fromEntries(values.map(({ labels, value }) => [labels.seen, value])), {
    "1h": 1,
    "1d": 2,
    ever: 5,
  });
  assert.ok((await readGauge(metrics.databaseBytes)) > 1_000_000);
  assert.equal(await readGauge(metrics.partitionsAhead), 7);
});

test("measures the memory that Redis uses and may use", async () => {
  await using fixture = await createFixture();
  const metrics = createMetrics(createRegistry("consumer"));
  await fixture.redis.config("SET", "maxmemory", "200mb");
  await measureMemory(fixture.redis, metrics);
  assert.ok((await readGauge(metrics.redisMemory)) > 100_000);
  assert.equal(await readGauge(metrics.redisMemoryMax), 200 * 1024 * 1024);
});

async function readGauge(gauge: {
  get(): Promise<{ values: readonly { value: number }[] }>;
}): Promise<number> {
  const { values } = await gauge.get();
  return values[0]?.value ?? Number.NaN;
}
