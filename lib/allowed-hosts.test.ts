import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { allowedHosts, createHostCheck, createHostMatcher } from "./allowed-hosts.ts";

const isAllowed = createHostMatcher(["logs.example.org", "*.fleet.example.org"]);

describe("a host is allowed", () => {
  for (const host of [
    "localhost",
    "LOCALHOST:8080",
    "localhost.",
    "localhost.:8080",
    "127.0.0.1",
    "10.1.2.3:9101",
    "[::1]",
    "[::1]:8080",
    "[2001:DB8::1]:50051",
    "[::ffff:127.0.0.1]:1",
    "logs.example.org",
    "Logs.Example.Org.:443",
    "a.fleet.example.org",
    "a.b.fleet.example.org:1",
  ]) {
    test(host, () => assert.ok(isAllowed(host)));
  }
});

describe("a host is refused", () => {
  for (const host of [
    "",
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example:127.0.0.1",
    "logs.example.org.evil.example",
    "fleet.example.org",
    "xlogs.example.org",
    "evilfleet.example.org",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "::1",
    "[::1",
    "[::1].evil.example",
    "[localhost]",
    "localhost..",
    "localhost:80:80",
    "localhost:x",
    "localhost evil",
    "user@localhost",
    "localhost/evil",
    "%%%",
  ]) {
    test(JSON.stringify(host), () => assert.ok(!isAllowed(host)));
  }
});

test("a request needs a host, and all that it names must be allowed", () => {
  const check = createHostCheck([]);
  assert.match(check({ rawHeaders: ["Accept", "*/*"] }) ?? "", /has no host/);
  assert.equal(check({ rawHeaders: ["HOST", "localhost"] }), undefined);
  assert.equal(check({ rawHeaders: [":authority", "[::1]:1", "x", "y"] }), undefined);
  for (const rawHeaders of [
    ["Host", "localhost", "host", "evil.example"],
    ["host", "evil.example", "Host", "localhost"],
    [":authority", "localhost", "host", "evil.example"],
  ]) {
    assert.match(check({ rawHeaders }) ?? "", /"evil.example".*ALLOWED_HOSTS/);
  }
});

test("the star allows any host, on purpose", () => {
  assert.ok(createHostMatcher(["*"])("evil.example"));
});

test("ALLOWED_HOSTS is comma-separated names", () => {
  assert.deepEqual(allowedHosts().parse("Logs.example.org, *.b.c,*,localhost"), [
    "logs.example.org",
    "*.b.c",
    "*",
  ]);
  for (const bad of ["a b", "a:80", "http://a", "*a", "a.*", "a;b", '"a"', "$a", ","]) {
    assert.equal(allowedHosts().safeParse(bad).success, false, bad);
  }
});
