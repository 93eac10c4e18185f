import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "pg";
import { scan } from "#batch/scan.ts";
import {
  createFixture,
  createTransaction,
  makeEntry,
  openTestPool,
  records,
} from "#consumer/testing/fixture.ts";
import { findDisagreements } from "./agreement.ts";

test("every stored count and range is compared with the records", async () => {
  await using fixture = await createFixture();
  const entries = [1, 2, 5].map((sequence) => makeEntry(sequence, [...records(7), { message: "a NUL: \0" }]));
  const batches = entries.map((entry) => ({ entryName: "test", entry, scanned: scan(entry.batch) }));
  await createTransaction(openTestPool(fixture)).commit({ batches, deadLetters: [] });
  const client = new Client({ connectionString: fixture.databaseUrl });
  await client.connect();
  fixture.stack.defer(() => client.end());
  assert.deepEqual(await findDisagreements(client, "device-%"), []);

  const withoutLast = ["times", "severities", "loggers", "messages"]
    .map((name) => `${name} = ${name}[:6]`)
    .join();
  const corruptions = [
    ["log_statistics", "update log_statistics set record_count = record_count + 1 where severity = 9"],
    ["log_statistics", "update log_statistics set severity = 10 where severity = 9"],
    ["log_statistics", "delete from log_statistics where severity = 13"],
    ["batches", "update batches set severities = 0 where sequence = 1"],
    ["batches", "update batches set last_time = received_at where sequence = 2"],
    ["batches", "update batches set first_time = first_time - interval '1 second' where sequence = 2"],
    ["batches", `update record_batches set ${withoutLast}`],
    ["record_batches", "update record_batches set messages = messages[2:]"],
    ["record_batches", "update record_batches set attributes = array['{}']"],
    ["record_batches", "update record_batches set indexes = array[0, 1, 2, 3, 4, 5, 5]"],
    ["record_batches", "update record_batches set batch_id = batch_id + 1, first_index = 9"],
    ["search_summaries", "delete from search_summaries where slice = 0"],
    ["search_summaries", "update search_summaries set last_id = last_id - 1"],
    ["devices", "update devices set error_count = error_count + 1"],
    ["devices", "update devices set dead_letter_count = 0"],
    ["devices", "update devices set last_seen = last_seen + interval '1 second'"],
    ["device_statistics", "update device_statistics set bytes = bytes - 1"],
    ["device_statistics", "update device_statistics set hour = hour - interval '1 hour'"],
    ["device_statistics", "update device_statistics set error_count = 0"],
    ["sessions", "update sessions set received = received + '{[9,10)}'::int8multirange"],
    ["sessions", "update sessions set dropped = '{[3,4)}'"],
    ["sessions", "delete from sessions"],
    ["dead_letters", "delete from dead_letters where idx = 7 and sequence = 5"],
    ["dead_letters", "delete from dead_letters"],
    ["dead_letters", "update dead_letters set idx = null, record_count = 2 where sequence = 5"],
    ["dead_letters", "update dead_letters set idx = null, entry = 'a whole batch' where sequence = 5"],
  ] as const;
  for (const [table, corruption] of corruptions) {
    await client.query("begin");
    await client.query(corruption);
    const found = await findDisagreements(client, "device-%");
    await client.query("rollback");
    assert(
      found.some((words) => words.startsWith(table)),
      `${corruption}: ${JSON.stringify(found)}`,
    );
  }
});
