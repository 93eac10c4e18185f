import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createWorld, entryOf, records, startConsumer, type World } from "../testing/fixture.ts";
import { DeadLetterRate, letterRate } from "./dead-letter-rate.ts";

const bad = (count: number) => Array.from({ length: count }, (_, n) => ({ message: `\0 ${n}` }));

async function settled(world: World): Promise<void> {
  await waitFor("the stream to be settled", async () => (await world.unacknowledged()) === 0);
}

test("10,000 bad records of a batch are 100 letters and one that counts the rest", async () => {
  await using world = await createWorld();
  const { metrics } = await startConsumer(world);
  await world.append(entryOf(1, [...bad(9_999), ...records(1)]));
  await settled(world);
  assert.deepEqual(
    await world.rows(
      "select idx is null as many, record_count, count(*)::int from dead_letters group by 1, 2 order by 3",
    ),
    [
      { many: true, record_count: 9_899, count: 1 },
      { many: false, record_count: 1, count: 100 },
    ],
  );
  const [many] = await world.rows("select reason, raw, raw_bytes from dead_letters where idx is null");
  assert.match(String(many?.["reason"]), /^9899 more records .* rejected, from record 100 on$/);
  const raw = many?.["raw"] as Buffer;
  const kept = fromBinary(LogBatchSchema, raw).records;
  assert.equal(kept[0]?.message, "\0 100");
  assert(raw.length <= 65_536);
  assert.equal(kept.length < 9_899, Number(many?.["raw_bytes"]) > 65_536);
  await assertCounted(world, "device-1", 9_999, 1);
  assert.equal((await metrics.countedLetters.get()).values[0]?.value, 9_899);
});

test("of a device that goes on sending bad records each one is counted, and one letter a minute is kept", async () => {
  await using world = await createWorld();
  await startConsumer(world);
  const batches = letterRate.burst / 50 + 4;
  for (let sequence = 1; sequence <= batches; sequence++) {
    await world.append(entryOf(sequence, bad(50)));
    if (sequence === batches - 4) await settled(world); // two flushes at once may both take what is left
  }
  await settled(world);
  await world.append(entryOf(1, bad(3), { deviceId: "device-2" }));
  await settled(world);
  const [one] = await world.rows(
    "select count(*)::int from dead_letters where device_id = 'device-1' and minute is null",
  );
  const kept = Number(one?.["count"]);
  assert(kept >= letterRate.burst && kept < letterRate.burst + 60, `${kept} letters are kept one by one`);
  const minutes = await world.rows("select reason, record_count from dead_letters where minute is not null");
  assert(minutes.length <= 2, `${minutes.length} letters of a minute`);
  assert.match(
    String(minutes[0]?.["reason"]),
    /more than 1000 dead letters at once or 60 a minute: .*: message has a NUL/,
  );
  await assertCounted(world, "device-1", 50 * batches, 0);
  await assertCounted(world, "device-2", 3, 0);
});

test("records that a server had acknowledged are all kept, however many PostgreSQL refuses", async () => {
  await using world = await createWorld();
  await startConsumer(world);
  await world.rows("alter table records add constraint no_secrets check (message !~ 'secret')");
  const long = "s".repeat(60_000);
  const secrets = Array.from({ length: 120 }, (_, n) => ({
    message: `secret ${n}`,
    ...(n === 0 && { logger: "l", message: `secret ${long}`, attributes: { a: "v".repeat(8_000) } }),
  }));
  await world.append(entryOf(1, [...secrets, ...bad(1), ...records(1)]));
  await settled(world);
  assert.equal(await world.count("dead_letters where idx is not null"), 121);
  assert.equal(await world.count("dead_letters where length(raw) = raw_bytes and raw_bytes > 65536"), 1);
  await assertCounted(world, "device-1", 121, 1);
});

test("a device's rate is refilled by the minute, and never beyond its burst", () => {
  let now = 0;
  const rate = new DeadLetterRate(() => now);
  assert.equal(rate.left("a"), 1_000);
  rate.spend("a", 1_500);
  assert.deepEqual([rate.left("a"), rate.left("b")], [0, 1_000]);
  now += 90_000;
  assert.equal(rate.left("a"), 90);
  rate.spend("a", 1);
  now += 86_400_000;
  assert.equal(rate.left("a"), 1_000);
});

/** The letters, the device and its statistics agree to the record. */
async function assertCounted(world: World, device: string, rejected: number, stored: number): Promise<void> {
  assert.deepEqual(
    await world.rows(`select
        (select sum(record_count)::int from dead_letters where device_id = '${device}') as letters,
        dead_letter_count::int as device,
        (select sum(dead_letter_count)::int from device_statistics where device_key = key) as statistics,
        record_count::int as stored
      from devices where device_id = '${device}'`),
    [{ letters: rejected, device: rejected, statistics: rejected, stored }],
  );
}
