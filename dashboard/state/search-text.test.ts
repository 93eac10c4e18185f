import assert from "node:assert/strict";
import { test } from "node:test";
import { listMarks, parseSearchText } from "./search-text.ts";

test("the search box accepts words, a phrase and an excluded text", () => {
  for (const [typed, words, text, excludedText] of [
    ["", "", "", ""],
    ["  link   down ", "link down", "", ""],
    ['eth0 "link down"', "eth0", "link down", ""],
    ['"link down', "", "link down", ""],
    ["-timeout eth0", "eth0", "", "timeout"],
    ['-"timed out"', "", "", "timed out"],
    ["-a -b", "-b", "", "a"],
    ['"one" "two three"', "two three", "one", ""],
    ["-60 dBm", "dBm", "", "60"],
    ['rssi="60"', 'rssi="60"', "", ""],
    ["100%_\\", "100%_\\", "", ""],
    ['""', "", "", ""],
  ] as const) {
    assert.deepEqual(parseSearchText(typed), { words, text, excludedText }, typed);
  }
});

test("the phrase and each word are marked", () => {
  assert.deepEqual(listMarks(parseSearchText('a b "c d" -e')), ["c d", "a", "b"]);
});
