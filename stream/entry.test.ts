import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeEntry, encodeEntry, MalformedEntryError } from "./entry.ts";
import { makeEntry } from "./testing/redis-clients.ts";

const good = makeEntry(7);

function fieldsWith(changes: Record<string, Buffer | string | undefined>): Buffer[] {
  const flat = encodeEntry(good);
  const fields = new Map(
    Array.from({ length: flat.length / 2 }, (_, i) => [String(flat[i * 2]), flat[i * 2 + 1]]),
  );
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) fields.delete(name);
    else fields.set(name, value);
  }
  return [...fields].flatMap(([name, value]) => [Buffer.from(name), Buffer.from(value as string)]);
}

test("an entry is decoded as it was encoded", () => {
  assert.deepEqual(decodeEntry(fieldsWith({})), good);
  const largest = {
    ...good,
    sequence: 2n ** 63n - 1n,
    sessionId: "~0123456789abcdef",
    rejectsCutText: true,
    bootedAtMicros: 0,
    deadLetterId: 10n ** 18n - 1n,
  };
  const fields = encodeEntry(largest).map((value) => Buffer.from(value as string));
  assert.deepEqual(decodeEntry(fields), largest);
});

test("unknown fields of a later version are ignored", () => {
  assert.deepEqual(decodeEntry(fieldsWith({ later: "x" })), good);
});

for (const [what, changes, named] of [
  ["without a batch", { batch: undefined }, /"batch" is missing/],
  ["of another version", { version: "2" }, /version="2"/],
  ["without a device", { device: "" }, /device=""/],
  ["with a device of forbidden characters", { device: "a b" }, /device="a b"/],
  ["with a sequence that is no number", { sequence: "-1" }, /sequence="-1"/],
  ["with a time that is no number", { received_at: "now" }, /received_at="now"/],
  ["with a time of boot that is no number", { booted_at: "-1" }, /booted_at="-1"/],
  ["with a dead letter that is no number", { dead_letter: "x" }, /dead_letter="x"/],
  ["with an unknown rule for cut texts", { cut_text: "drop" }, /cut_text="drop"/],
  ["with a short digest", { digest: "abc" }, /digest has 3 bytes/],
] as const) {
  test(`an entry ${what} is malformed, and the error says why`, () => {
    assert.throws(
      () => decodeEntry(fieldsWith(changes)),
      (error) => error instanceof MalformedEntryError && named.test(error.message),
    );
  });
}
