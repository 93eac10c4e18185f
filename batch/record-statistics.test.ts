import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordStatistics } from "./record-statistics.ts";

test("records are counted by minute and severity, in the order of both, and from 0 again for the next flush", () => {
  const statistics = new RecordStatistics();
  for (const flush of [1, 2]) {
    for (let n = 0; n < flush; n++) statistics.add(29_000_000, 17);
    statistics.add(28_000_000, 9);
    statistics.add(29_000_000, 0);
    assert.deepEqual(
      [...statistics],
      [
        { minute: 28_000_000, severity: 9, count: 1 },
        { minute: 29_000_000, severity: 0, count: 1 },
        { minute: 29_000_000, severity: 17, count: flush },
      ],
    );
    statistics.clear();
    assert.deepEqual([...statistics], []);
  }
});
