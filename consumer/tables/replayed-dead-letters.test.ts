import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeEntry } from "#stream/entry.ts";
import { streamKey, toShard } from "#stream/keys.ts";
import { waitFor } from "#test/support/wait-for.ts";
import {
  createFixture,
  type Fixture,
  makeEntry,
  records,
  shardCount,
  startConsumer,
} from "../testing/fixture.ts";

/** A dead letter of a whole batch. Returns its id. */
async function insertDeadLetter(fixture: Fixture): Promise<bigint> {
  const [row] =
    await fixture.rows(`insert into dead_letters (device_id, session_id, sequence, reason, raw, raw_bytes)
    values ('device-1', 'boot-1', 1, 'refused', '', 0) returning id`);
  return BigInt(String(row?.["id"]));
}

test("a dead letter is marked as replayed also when the ledger already had its batch", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture);
  const entry = makeEntry(1, records(2));
  await fixture.append(entry);
  await waitFor("the batch to be stored", async () => (await fixture.count("batches")) === 1);
  const deadLetterId = await insertDeadLetter(fixture);
  const key = streamKey(toShard(entry.deviceId, shardCount));
  await fixture.redis.xadd(key, "*", ...encodeEntry({ ...entry, deadLetterId }));
  await waitFor("the dead letter to be marked", () =>
    fixture.count("dead_letters where replayed_at is not null"),
  );
  assert.deepEqual(
    await fixture.rows("select replayed_batch from dead_letters"),
    await fixture.rows("select id as replayed_batch from batches"),
  );
  assert.equal(await fixture.count("records"), 2);
});
