import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError, integer, listenAddress, logLevel, readEnv, url, word } from "./config.ts";

const shape = {
  PORT: integer(1, 65_535),
  LISTEN: listenAddress().default({ host: "127.0.0.1", port: 0 }),
  DATABASE_URL: url(["postgres", "postgresql"]),
  MODE: word("fast", "safe").default("safe"),
  LOG_LEVEL: logLevel,
};

const good = { PORT: "8080", DATABASE_URL: "postgres://me:secret@db/logs" };

describe("readEnv", () => {
  test("returns typed, frozen values and ignores other variables", () => {
    const config = readEnv(shape, { ...good, LISTEN: "[::1]:9", PATH: "/bin" });
    assert.deepEqual(config, {
      PORT: 8080,
      LISTEN: { host: "::1", port: 9 },
      DATABASE_URL: good.DATABASE_URL,
      MODE: "safe",
      LOG_LEVEL: "info",
    });
    assert.ok(Object.isFrozen(config));
  });

  test("treats an empty variable as absent", () => {
    assert.equal(readEnv(shape, { ...good, MODE: "" }).MODE, "safe");
  });

  test("lists every bad variable at once, with the value seen and the form wanted", () => {
    assert.throws(
      () => readEnv(shape, { PORT: "70000", LISTEN: "nowhere", MODE: "loud", DATABASE_URL: undefined }),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.deepEqual(error.problems, [
          'PORT="70000": expected an integer from 1 to 65535',
          'LISTEN="nowhere": expected host:port, such as "127.0.0.1:9001"',
          "DATABASE_URL=(not set): expected a URL starting with postgres:// or postgresql://",
          'MODE="loud": expected one of fast, safe',
        ]);
        return true;
      },
    );
  });

  test("never prints a password", () => {
    assert.throws(
      () => readEnv(shape, { ...good, DATABASE_URL: "mysql://me:secret@db/logs" }),
      (error) =>
        error instanceof ConfigError && /me:\*\*\*@db/.test(error.message) && !/secret/.test(error.message),
    );
  });
});
