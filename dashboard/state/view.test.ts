import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { severityLevels } from "./severity-level.ts";
import {
  hasFilter,
  noFilter,
  readAttribute,
  readView,
  type View,
  writeAttribute,
  writeView,
} from "./view.ts";

test("an address without parameters shows the last day of all records, newest first", () => {
  const view = readView(new URLSearchParams());
  assert.deepEqual(view.range, { lastSeconds: 86_400 });
  assert.equal(hasFilter(view), false);
  assert.equal(writeView(view).toString(), "");
});

test("every view is read from an address as it was written", () => {
  const text = fc.string({ minLength: 1, unit: "grapheme" });
  const micros = fc.integer({ min: -8e14, max: 4e15 });
  const texts = fc.array(text, { maxLength: 3 });
  const attributes = fc.array(fc.record({ name: text, value: fc.option(fc.string(), { nil: undefined }) }), {
    maxLength: 3,
  });
  const level = fc.constantFrom(...severityLevels);
  const view: fc.Arbitrary<View> = fc.record({
    range: fc.oneof(
      fc.record({ lastSeconds: fc.integer({ min: 1, max: 999_999 }) }),
      fc.record({ from: fc.option(micros, { nil: undefined }), to: fc.option(micros, { nil: undefined }) }),
    ),
    devices: texts,
    excludedDevices: texts,
    minLevel: fc.option(level, { nil: undefined }),
    levels: fc.array(level, { maxLength: 3 }),
    logger: fc.string(),
    excludedLoggers: texts,
    search: fc.string(),
    attributes,
    excludedAttributes: attributes,
    session: fc.string(),
    trace: fc.string(),
    oldestFirst: fc.boolean(),
    utc: fc.boolean(),
    wrap: fc.boolean(),
    columns: texts,
    open: fc.string(),
    deviceSearch: fc.string(),
    deviceOrder: fc.string(),
    silent: fc.string(),
  });
  fc.assert(
    fc.property(view, (view) => {
      const address = writeView(view).toString();
      assert.deepEqual(readView(new URLSearchParams(address)), structuredClone(view));
    }),
    { seed: 4, numRuns: 500 },
  );
});

test("attributes are written in the gateway's syntax", () => {
  for (const [text, name, value] of [
    ["errno=EIO", "errno", "EIO"],
    ["errno", "errno", undefined],
    ["errno=", "errno", ""],
    ["a\\=b\\\\=c=d", "a=b\\", "c=d"],
    ["two=lines\n=", "two", "lines\n="],
  ] as const) {
    assert.deepEqual(readAttribute(text), { name, value });
    assert.equal(writeAttribute({ name, value }), text);
  }
});

test("a filter is in force as soon as one condition is set", () => {
  assert.equal(hasFilter(noFilter), false);
  assert.equal(hasFilter({ ...noFilter, search: "x" }), true);
  assert.equal(hasFilter({ ...noFilter, devices: ["x"] }), true);
  assert.equal(hasFilter({ ...noFilter, minLevel: severityLevels[0] }), true);
});
