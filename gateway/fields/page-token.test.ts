import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidFieldError } from "./invalid-field.ts";
import { decodePageToken, encodePageToken } from "./page-token.ts";

const position = ["1767225600000001", "9223372036854775807", "9999"];

test("a token returns its position, for the same query only", () => {
  const token = encodePageToken("one", position);
  assert.match(token, /^[A-Za-z0-9_-]+$/);
  assert.deepEqual(decodePageToken("one", token), position);
  assert.throws(() => decodePageToken("two", token), /belongs to another query/);
});

test("the empty token is the first page", () => {
  assert.equal(decodePageToken("one", ""), undefined);
});

test("a token that lost, gained or changed a character is refused", () => {
  const token = encodePageToken("one", position);
  for (let at = 0; at < token.length; at++) {
    const changed = token[at] === "A" ? "B" : "A";
    const damaged = [
      token.slice(0, at),
      `${token.slice(0, at)}A${token.slice(at)}`,
      token.slice(0, at) + changed + token.slice(at + 1),
    ];
    for (const bad of damaged) {
      if (bad === "" || Buffer.from(bad, "base64url").equals(Buffer.from(token, "base64url"))) continue;
      assert.throws(() => decodePageToken("one", bad), InvalidFieldError, bad);
    }
  }
});
