import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { scan } from "#batch/scan.ts";
import { attribute } from "#batch/testing/wire.ts";
import { createAttributes } from "#proto/attributes.ts";
import type { LogRecordSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { SearchTerms } from "#search/search-terms.ts";
import {
  createFixture,
  createTransaction,
  type Fixture,
  makeEntry,
  openTestPool,
} from "../testing/fixture.ts";

type Record = MessageInitShape<typeof LogRecordSchema>;

const wifi: Record = {
  message: "weak SIGNAL from İzmir",
  logger: "net.wifi",
  attributes: createAttributes({ channel: 11, ratio: 0.5, isRoaming: true, ssid: "guests" }),
  traceId: Buffer.alloc(16, 9),
};

test("a flush is stored with a summary that has all its records can be searched for", async () => {
  await using fixture = await createFixture();
  await createTransaction(openTestPool(fixture)).commit(flushOf([wifi]));
  for (const [name, add] of Object.entries<(terms: SearchTerms) => void>({
    text: (terms) => terms.addText("signal FROM izmir"),
    logger: (terms) => terms.addLoggerPrefix("net."),
    "attribute name": (terms) => terms.addAttributeName("ssid"),
    "attribute of text": (terms) => terms.addAttribute("ssid", ["guests"]),
    "attribute of a number": (terms) => terms.addAttribute("channel", ["11"]),
    "attribute of a fraction": (terms) => terms.addAttribute("ratio", ["0.5"]),
    "attribute of a boolean": (terms) => terms.addAttribute("isRoaming", ["true"]),
    trace: (terms) => terms.addTraceId(Buffer.alloc(16, 9)),
  })) {
    assert.equal(await mayHave(fixture, add), true, name);
  }
  assert.equal(await mayHave(fixture, (terms) => terms.addText("brownout")), false);
  assert.equal(await mayHave(fixture, (terms) => terms.addAttribute("channel", ["12"])), false);
});

test("the attributes of a batch are those of its records", async () => {
  await using fixture = await createFixture();
  const sent = makeEntry(1, [wifi]);
  const batch = Buffer.concat([sent.batch, attribute("firmware", "2.1", 6)]);
  const entry = { ...sent, batch };
  const flush = { batches: [{ entryName: "test", entry, scanned: scan(batch) }], deadLetters: [] };
  await createTransaction(openTestPool(fixture)).commit(flush);
  assert.equal(await mayHave(fixture, (terms) => terms.addAttribute("firmware", ["2.1"])), true);
});

test("records and their summary are stored together or not at all", async () => {
  await using fixture = await createFixture();
  const transaction = createTransaction(openTestPool(fixture));
  await fixture.rows(
    "create function fail() returns trigger language plpgsql as $$begin raise 'full'; end$$",
  );
  for (const table of ["search_summaries", "log_statistics"]) {
    await fixture.rows(`create trigger fail before insert on ${table} for each row execute function fail()`);
    await assert.rejects(transaction.commit(flushOf([wifi])), /full/);
    assert.equal(await fixture.count("record_batches"), 0, table);
    assert.equal(await fixture.count("search_summaries"), 0, table);
    await fixture.rows(`drop trigger fail on ${table}`);
  }
  await transaction.commit(flushOf([wifi]));
  await transaction.commit(flushOf([wifi]));
  assert.equal(await fixture.count("records"), 1);
  assert.equal(await fixture.count("search_summaries where slice = 0"), 1);
});

function flushOf(records: readonly Record[]) {
  const entry = makeEntry(1, records);
  return { batches: [{ entryName: "test", entry, scanned: scan(entry.batch) }], deadLetters: [] };
}

async function mayHave(fixture: Fixture, add: (terms: SearchTerms) => void): Promise<boolean> {
  const terms = new SearchTerms();
  add(terms);
  const rows = await fixture.rows(
    `select slice, bytes from search_summaries where slice in (${terms.slices.join()})`,
  );
  const slices = new Map(rows.map(({ slice, bytes }) => [slice as number, bytes as Buffer]));
  return terms.matchingSegments(slices)!.matching.length > 0;
}
