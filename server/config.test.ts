import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError } from "#lib/config.ts";
import { readConfig } from "./config.ts";

test("without any variable the server listens on loopback only", () => {
  const { grpcListen, httpListen, adminListen, shards, grpcFastPath } = readConfig({});
  for (const { host } of [grpcListen, httpListen, adminListen]) assert.equal(host, "127.0.0.1");
  assert.equal(shards, 4);
  assert.equal(grpcFastPath, true);
});

test("lists every invalid variable at once", () => {
  assert.throws(
    () => readConfig({ GRPC_LISTEN: "here", REDIS_URL: "http://x", STREAM_SHARDS: "0", GRPC_FAST_PATH: "1" }),
    (error) =>
      error instanceof ConfigError &&
      ["GRPC_LISTEN", "REDIS_URL", "STREAM_SHARDS", "GRPC_FAST_PATH"].every((name) =>
        error.message.includes(`${name}="`),
      ),
  );
});
