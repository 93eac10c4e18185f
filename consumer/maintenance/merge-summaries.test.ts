import assert from "node:assert/strict";
import { test } from "node:test";
import { scan } from "#batch/scan.ts";
import { SearchTerms } from "#search/search-terms.ts";
import {
  createFixture,
  createTransaction,
  type Fixture,
  logger,
  makeEntry,
  openTestPool,
  records,
} from "../testing/fixture.ts";
import { createMerge } from "./merge-summaries.ts";

const startMs = Date.UTC(2026, 0, 31, 12);
const minuteMs = 60_000;

test("merges the summaries of small flushes, those of ten minutes into one, again with what is added", async () => {
  await using fixture = await createFixture();
  const merge = await storeFlushes(fixture, 300, 4_000);
  const before = await sizeOf(fixture);
  assert.equal(await summaries(fixture), 300);
  await merge(new Date(startMs + 6 * minuteMs));
  // One of five minutes, and those of the next fifteen.
  assert.equal(await summaries(fixture), 1 + 225);
  await merge(new Date(startMs + 12 * minuteMs));
  // One of ten minutes, one of the next, and those of the next nine.
  assert.equal(await summaries(fixture), 2 + 135);
  await merge(new Date(startMs + 30 * minuteMs));
  assert.equal(await summaries(fixture), 2);
  assert.ok((await sizeOf(fixture)) * 2 < before);
  for (const index of [0, 149, 150, 299])
    assert.ok(await mayHave(fixture, `flush ${index} of them`), `${index}`);
  assert.ok(!(await mayHave(fixture, "brownout")));
});

test("a merge that fails, or is not the only one, loses nothing; one behind does nothing", async () => {
  await using fixture = await createFixture();
  let isBehind = true;
  const merge = await storeFlushes(fixture, 20, 1_000, async () => isBehind);
  const later = new Date(startMs + 30 * minuteMs);
  await merge(later);
  assert.equal(await summaries(fixture), 20);
  isBehind = false;
  await fixture.rows(
    "create function fail() returns trigger language plpgsql as $$begin raise 'full'; end$$",
  );
  await fixture.rows(
    "create trigger fail before insert on search_summaries for each row execute function fail()",
  );
  await assert.rejects(merge(later), /full/);
  assert.equal(await summaries(fixture), 20);
  await fixture.rows("drop trigger fail on search_summaries");
  await Promise.all([merge(later), merge(later)]);
  assert.equal(await summaries(fixture), 1);
  for (let index = 0; index < 20; index++) assert.ok(await mayHave(fixture, `flush ${index} of them`));
});

/** Stores flushes of one batch each, that arrived one after the other. */
async function storeFlushes(fixture: Fixture, count: number, everyMs: number, isBehind = async () => false) {
  const pool = openTestPool(fixture);
  const transaction = createTransaction(pool);
  for (let index = 0; index < count; index++) {
    const receivedAtMicros = (startMs + index * everyMs) * 1000;
    const entry = makeEntry(index + 1, records(3, `flush ${index} of them`), { receivedAtMicros });
    await transaction.commit({
      batches: [{ entryName: "test", entry, scanned: scan(entry.batch) }],
      deadLetters: [],
    });
  }
  return createMerge({ pool, isBehind, logger, signal: new AbortController().signal });
}

function summaries(fixture: Fixture): Promise<number> {
  return fixture.count("search_summaries where slice = 0");
}

async function sizeOf(fixture: Fixture): Promise<number> {
  const [row] = await fixture.rows("select sum(pg_column_size(s.*))::int as bytes from search_summaries s");
  return row!["bytes"] as number;
}

async function mayHave(fixture: Fixture, text: string): Promise<boolean> {
  const terms = new SearchTerms();
  terms.addText(text);
  const rows = await fixture.rows(
    `select slice, first_id, bytes from search_summaries where slice in (${terms.slices.join()})`,
  );
  return [...Map.groupBy(rows, ({ first_id }) => first_id).values()].some((slices) => {
    const bySlice = new Map(slices.map(({ slice, bytes }) => [slice as number, bytes as Buffer]));
    return terms.matchingSegments(bySlice)!.matching.length > 0;
  });
}
