import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkClock } from "./check-clocks.ts";
import { checkNode } from "./check-machine.ts";
import { checkNginxConf } from "./check-nginx-conf.ts";
import { findAll, inherited, parseNginxConf } from "./nginx-conf.ts";

// Checks that cannot be arranged on one machine, or that only parse text.

test("a clock difference above the round trip is a warning, a minute a failure", async () => {
  for (const [apartMs, state] of [
    [0, "ok"],
    [-5_000, "warn"],
    [5_000, "warn"],
    [90_000, "fail"],
    [-90_000, "fail"],
  ] as const) {
    const { state: found } = await checkClock("x", async () => Date.now() + apartMs);
    assert.equal(found, state, String(apartMs));
  }
});

test("an old Node is a failure, one with known vulnerabilities a warning", () => {
  for (const [version, state] of [
    ["22.20.0", "fail"],
    ["24.1.0", "warn"],
    ["24.17.0", "ok"],
    ["26.0.0", "ok"],
  ] as const) {
    assert.equal(checkNode(version).state, state, version);
  }
});

describe("an nginx.conf", () => {
  test("is read with its comments, quotes, variables and blocks", () => {
    const read = parseNginxConf(`
      # a comment; with { all
      http { log_format x '{"a":"$b"}' "c d";
        server { listen 1 ssl; location ~ ^/a(b|c)$ { set $x "\${y}z"; } } }`);
    const [format] = findAll(read, "log_format");
    assert.deepEqual(format?.directive.args, ["x", '{"a":"$b"}', "c d"]);
    const [location = assert.fail("no location")] = findAll(read, "location");
    assert.deepEqual(location.directive.args, ["~", "^/a(b|c)$"]);
    assert.deepEqual(inherited([...location.around, location.directive], "listen"), ["1", "ssl"]);
  });

  test("that is incomplete is refused", () => {
    for (const text of ["http {", "}", "listen 1"])
      assert.throws(() => parseNginxConf(text), /nginx\.conf: /, text);
  });

  test("without our locations is a failure", () => {
    assert.deepEqual(
      checkNginxConf("http { server { location / { return 200; } } }").map(({ check, state }) => [
        check,
        state,
      ]),
      [["nginx.streams", "fail"]],
    );
  });
});
