import assert from "node:assert/strict";
import { test } from "node:test";
import { summarise } from "#bench/ratios/measure-row.ts";
import { ratiosPage } from "#bench/ratios/page.ts";
import { rows } from "#bench/ratios/rows.ts";

const row = {
  title: "Ours ÷ theirs",
  unit: "things/s",
  ratios: [
    { of: "ours", over: "theirs", atLeast: 0.5 },
    { of: "theirs", over: "ours", atMost: 1.5 },
    { of: "ours", atMost: 100 },
  ],
};
const readings = new Map([
  ["ours", [80, 10, 100].map((value) => ({ value }))],
  ["theirs", [160, 150, 900].map((value) => ({ value }))],
]);

test("ratios are of the medians, and each says whether its target is reached", () => {
  const { ratios, values } = summarise("row", row, readings);
  assert.deepEqual(
    ratios.map(({ value, reached }) => [value, reached]),
    [
      [0.5, true],
      [2, false],
      [80, true],
    ],
  );
  assert.deepEqual([values[0]?.min, values[0]?.max], [10, 100]);
});

test("the page lists the targets and every value", () => {
  const page = ratiosPage([summarise("row", row, readings)], { rounds: 3, command: "npm run bench" });
  assert.match(page, /\| row \| ours ÷ theirs \| 0.50 \| ≥ 0.5 \| yes \|/);
  assert.match(page, /\| row \| theirs ÷ ours \| 2.00 \| ≤ 1.5 \| no \|/);
  assert.match(page, /\| row \| ours \| 80.00 \| ≤ 100 \| yes \|/);
  assert.match(page, /\| ours \| 80.0 \| 10.0 – 100 \| 0.50 of theirs \|/);
});

test("every row measures what its ratios compare", () => {
  for (const { title, measure, ratios } of Object.values(rows)) {
    assert(title !== "" && measure.length > 0 && ratios.length > 0);
  }
});
