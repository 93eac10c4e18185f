import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { createAttributes } from "#proto/attributes.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { decodeDelivery, isBatch } from "../received-batch.ts";
import {
  createFixture,
  createTransaction,
  type Fixture,
  makeEntry,
  openTestPool,
  records,
  startConsumer,
} from "../testing/fixture.ts";
import { DeadLetterRate, deadLetterRateLimits } from "./dead-letter-rate.ts";
import { DeviceKeys } from "./devices.ts";

const bad = (count: number) => Array.from({ length: count }, (_, n) => ({ message: `\0 ${n}` }));

async function settled(fixture: Fixture): Promise<void> {
  await waitFor("the stream to be settled", async () => (await fixture.unacknowledged()) === 0);
}

test("10,000 invalid records of a batch become 100 dead letters and one that summarizes the rest", async () => {
  await using fixture = await createFixture();
  const { metrics } = await startConsumer(fixture);
  await fixture.append(makeEntry(1, [...bad(9_999), ...records(1)]));
  await settled(fixture);
  assert.deepEqual(
    await fixture.rows(
      "select idx is null as many, record_count, count(*)::int from dead_letters group by 1, 2 order by 3",
    ),
    [
      { many: true, record_count: 9_899, count: 1 },
      { many: false, record_count: 1, count: 100 },
    ],
  );
  const [summary] = await fixture.rows("select reason, raw, raw_bytes from dead_letters where idx is null");
  assert.match(String(summary?.["reason"]), /^9899 more records .* rejected, from index 100$/);
  const raw = summary?.["raw"] as Buffer;
  const kept = fromBinary(LogBatchSchema, raw).records;
  assert.equal(kept[0]?.message, "\0 100");
  assert(raw.length <= 65_536);
  assert.equal(kept.length < 9_899, Number(summary?.["raw_bytes"]) > 65_536);
  await assertCounted(fixture, "device-1", 9_999, 1);
  assert.equal((await metrics.summarizedDeadLetters.get()).values[0]?.value, 9_899);
});

test("counts every invalid record of a device over its rate, and keeps one dead letter per minute", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture);
  const batches = deadLetterRateLimits.burst / 50 + 4;
  for (let sequence = 1; sequence <= batches; sequence++) {
    await fixture.append(makeEntry(sequence, bad(50)));
    if (sequence === batches - 4) await settled(fixture); // two flushes at once may both take what is left
  }
  await settled(fixture);
  await fixture.append(makeEntry(1, bad(3), { deviceId: "device-2" }));
  await settled(fixture);
  const [one] = await fixture.rows(
    "select count(*)::int from dead_letters where device_id = 'device-1' and minute is null",
  );
  const kept = Number(one?.["count"]);
  assert(
    kept >= deadLetterRateLimits.burst && kept < deadLetterRateLimits.burst + 60,
    `${kept} dead letters are kept one by one`,
  );
  const minutes = await fixture.rows(
    "select reason, record_count from dead_letters where minute is not null",
  );
  assert(minutes.length <= 2, `${minutes.length} dead letters of a minute`);
  assert.match(
    String(minutes[0]?.["reason"]),
    /more than 1000 dead letters at once or 60 per minute: .*: message has a NUL/,
  );
  await assertCounted(fixture, "device-1", 50 * batches, 0);
  await assertCounted(fixture, "device-2", 3, 0);
});

test("keeps every acknowledged record that PostgreSQL refuses, however many there are", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture);
  await fixture.rows(
    "alter table record_batches add constraint no_secrets check (array_to_string(messages, ' ') !~ 'secret')",
  );
  const long = "s".repeat(60_000);
  const secrets = Array.from({ length: 120 }, (_, n) => ({
    message: `secret ${n}`,
    ...(n === 0 && {
      logger: "l",
      message: `secret ${long}`,
      attributes: createAttributes({ a: "v".repeat(8_000) }),
    }),
  }));
  await fixture.append(makeEntry(1, [...secrets, ...bad(1), ...records(1)]));
  await settled(fixture);
  assert.equal(await fixture.count("dead_letters where idx is not null"), 121);
  assert.equal(await fixture.count("dead_letters where length(raw) = raw_bytes and raw_bytes > 65536"), 1);
  await assertCounted(fixture, "device-1", 121, 1);
});

test("a device's rate is refilled every minute, and never beyond its burst", () => {
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

test("only committed dead letters count against the rate of a device", async () => {
  await using fixture = await createFixture();
  const pool = openTestPool(fixture);
  const rate = new DeadLetterRate();
  const transaction = createTransaction(pool, new DeviceKeys(pool), rate);
  const batch = decodeDelivery({ shard: 0, id: "1-0", entry: makeEntry(1, bad(10)) });
  assert(isBatch(batch));
  const flush = { batches: [batch], deadLetters: [] };
  await transaction.dryRun(flush);
  assert.equal(rate.left("device-1"), deadLetterRateLimits.burst);
  await transaction.commit(flush);
  assert.equal(rate.left("device-1"), deadLetterRateLimits.burst - 10);
});

/** The counts of dead letters, of the device and of its statistics are equal. */
async function assertCounted(
  fixture: Fixture,
  device: string,
  rejected: number,
  stored: number,
): Promise<void> {
  assert.deepEqual(
    await fixture.rows(`select
        (select sum(record_count)::int from dead_letters where device_id = '${device}') as dead_letters,
        dead_letter_count::int as device,
        (select sum(dead_letter_count)::int from device_statistics where device_key = key) as statistics,
        record_count::int as stored
      from devices where device_id = '${device}'`),
    [{ dead_letters: rejected, device: rejected, statistics: rejected, stored }],
  );
}
