import assert from "node:assert/strict";
import { test } from "node:test";
import { takeInHand } from "../received-batch.ts";
import { entryOf, records } from "../testing/fixture.ts";
import { type Draft, Drafter, type DraftLimits } from "./flush-buffer.ts";

function draftsOf(limits: Partial<DraftLimits>, recordCounts: readonly number[]): readonly Draft[] {
  const drafts: Draft[] = [];
  const drafter = new Drafter({ recordsMax: 1e9, bytesMax: 1e9, intervalMs: 60_000, ...limits }, (draft) =>
    drafts.push(draft),
  );
  for (const [index, count] of recordCounts.entries()) {
    const place = { shard: 0, id: `${index}-0` };
    drafter.add(place, takeInHand({ ...place, entry: entryOf(index + 1, records(count)) }));
  }
  drafter.flush();
  return drafts;
}

test("a flush goes off before it would pass its bound of records", () => {
  const drafts = draftsOf({ recordsMax: 10 }, [4, 6, 1, 20, 3]);
  assert.deepEqual(
    drafts.map(({ records }) => records),
    [10, 1, 20, 3],
  );
});

test("a flush goes off before it would pass its bound of bytes", () => {
  const bytes = entryOf(1, records(5)).batch.length;
  const drafts = draftsOf({ bytesMax: bytes * 2 }, [5, 5, 5, 50, 5]);
  assert.deepEqual(
    drafts.map(({ batches }) => batches.length),
    [2, 1, 1, 1],
  );
  assert.deepEqual(
    drafts.flatMap(({ places }) => places.map(({ id }) => id)),
    ["0-0", "1-0", "2-0", "3-0", "4-0"],
  );
});
