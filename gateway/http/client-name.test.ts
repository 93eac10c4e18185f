import assert from "node:assert/strict";
import { test } from "node:test";
import { createClientNamer, isProxyRange } from "./client-name.ts";

const nameOf = createClientNamer(["127.0.0.0/8", "::1", "10.1.0.0/16"]);

for (const [remoteAddress, forwarded, name] of [
  ["192.0.2.7", undefined, "192.0.2.7"],
  ["192.0.2.7", "198.51.100.1", "192.0.2.7"], // any client can write that
  ["127.0.0.1", "198.51.100.1", "198.51.100.1"],
  ["::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"],
  ["::1", "::ffff:198.51.100.1", "198.51.100.1"],
  ["127.0.0.1", "203.0.113.9, 198.51.100.1, 10.1.2.3", "198.51.100.1"], // the first is the client's own claim
  ["127.0.0.1", undefined, "127.0.0.1"],
  ["127.0.0.1", "", "127.0.0.1"],
  ["127.0.0.1", "not an address", "127.0.0.1"],
  ["127.0.0.1", "198.51.100.1, __proto__", "127.0.0.1"],
  ["127.0.0.1", "10.1.0.1", "10.1.0.1"],
  ["127.0.0.1", `${"198.51.100.1,".repeat(5000)}198.51.100.2`, "198.51.100.2"],
  ["2001:db8:0:1:2:3:4:5", undefined, "2001:db8:0:1::/64"],
  ["2001:db8::1:0:0:5", undefined, "2001:db8:0:0::/64"],
  ["127.0.0.1", "2001:DB8:00:0001:ffff::9", "2001:db8:0:1::/64"],
  ["fe80::1%eth0", undefined, "fe80:0:0:0::/64"],
  [undefined, undefined, ""],
] as const) {
  test(`a request from ${remoteAddress} forwarded for ${forwarded?.slice(0, 40)} is of ${name}`, () => {
    const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
    assert.equal(nameOf({ headers, socket: { remoteAddress } }), name);
  });
}

test("a proxy is an address or a range of them", () => {
  for (const range of ["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "0.0.0.0/0"]) {
    assert.ok(isProxyRange(range), range);
  }
  for (const text of ["", "nginx", "10.0.0.0/33", "::/129", "1.2.3", "10.0.0.0/-1", "10.0.0.0/8,"]) {
    assert.ok(!isProxyRange(text), text);
  }
});
