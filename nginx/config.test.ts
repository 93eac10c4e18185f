import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError } from "#lib/config.ts";
import { readConfig } from "./config.ts";
import { renderNginx } from "./render.ts";

describe("the configuration of Nginx in a container", () => {
  test("requires the version of Nginx, as an image tag or in full", () => {
    for (const [value, version] of [
      ["1.30", [1, 30, 0]],
      ["1.30-alpine", [1, 30, 0]],
      ["1.28.2", [1, 28, 2]],
    ] as const) {
      assert.deepEqual(readConfig({ NGINX_VERSION: value }).settings.version, version);
    }
    for (const value of ["stable", "", "1"]) {
      assert.throws(() => readConfig({ NGINX_VERSION: value }), ConfigError, value);
    }
  });

  test("rejects values that would end a directive", () => {
    for (const bad of [
      { NGINX_RESOLVER: "127.0.0.11; load_module x" },
      { NGINX_ACCESS_LOG: "/dev/stdout; x" },
      { NGINX_FOLDER: '/tmp/"' },
      { SERVER_GRPC: "server:1;" },
      { GATEWAY_HTTP: "gateway" },
    ]) {
      assert.throws(() => readConfig({ NGINX_VERSION: "1.30", ...bad }), ConfigError);
    }
  });

  test("makes Nginx follow every upstream by name", () => {
    const text = renderNginx(readConfig({ NGINX_VERSION: "1.30" }).settings);
    assert.match(text, /^ {2}resolver 127\.0\.0\.11 valid=2s ipv6=off;$/m);
    for (const name of ["server:50061", "server:8081", "gateway:8082"]) {
      assert.match(text, new RegExp(`^    server ${name} .*resolve;$`, "m"));
    }
    assert.match(text, /access_log off;/);
  });

  test("is refused for an Nginx that cannot resolve names", () => {
    const { settings } = readConfig({ NGINX_VERSION: "1.26.3" });
    assert.throws(() => renderNginx(settings), /1\.26\.3 cannot resolve names.*1\.27\.3/);
  });
});

test("without a resolver, names are left to the start of Nginx", () => {
  const { resolver: _, ...settings } = readConfig({ NGINX_VERSION: "1.22.1" }).settings;
  const text = renderNginx(settings);
  assert.doesNotMatch(text, /resolve/);
});

describe("TLS", () => {
  const version = { NGINX_VERSION: "1.30" };
  const files = { TLS_CERT: "/tls/server.crt", TLS_KEY: "/tls/server.key" };

  test("is off without a certificate, and on with one and its key", () => {
    assert.doesNotMatch(renderNginx(readConfig(version).settings), /ssl|8443/);
    const text = renderNginx(readConfig({ ...version, ...files }).settings);
    assert.match(text, /^ {4}listen 0\.0\.0\.0:8443 ssl so_keepalive=on;\n {4}http2 on;$/m);
    assert.match(text, /^ {4}ssl_certificate "\/tls\/server\.crt";$/m);
    assert.doesNotMatch(text, /ssl_verify_client/);
  });

  test("uses the syntax of older versions of Nginx", () => {
    const { resolver: _, ...settings } = readConfig({ NGINX_VERSION: "1.22.1", ...files }).settings;
    const text = renderNginx(settings);
    assert.match(text, /^ {4}listen 0\.0\.0\.0:8443 ssl http2 so_keepalive=on;$/m);
    assert.doesNotMatch(text, /http2 on;/);
  });

  test("asks for client certificates where configured", () => {
    const withCa = { ...version, ...files, TLS_CLIENT_CA: "/tls/ca.crt" };
    for (const [scope, verify] of [
      ["", "optional"],
      ["ingest", "optional"],
      ["everything", "on"],
    ] as const) {
      const text = renderNginx(readConfig({ ...withCa, TLS_CLIENT_CERT_FOR: scope }).settings);
      assert.match(text, new RegExp(`^    ssl_verify_client ${verify};$`, "m"));
    }
    assert.throws(
      () => readConfig({ ...withCa, TLS_CLIENT_CERT_FOR: "some" }),
      /expected one of ingest, everything/,
    );
  });

  test("is refused when only half configured", () => {
    for (const half of [
      { TLS_CERT: files.TLS_CERT },
      { TLS_KEY: files.TLS_KEY },
      { TLS_CLIENT_CA: "/tls/ca.crt" },
      { ...files, TLS_KEY: "" },
    ]) {
      assert.throws(() => readConfig({ ...version, ...half }), /TLS_CERT and TLS_KEY: expected both/);
    }
  });
});
