import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { after, before, describe, test } from "node:test";
import { listLogsPath, startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts();
});
after(() => gateway[Symbol.asyncDispose]());

/** By node:http: fetch adds headers of its own, and hides what a HEAD was answered with. */
async function ask(method: string, path: string, headers: Record<string, string> = {}) {
  const sent = request(gateway.url + path, { method, headers, agent: false }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const chunks = await response.toArray();
  return { status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() };
}

const byGet = `${listLogsPath}?encoding=json&message=${encodeURIComponent('{"filter":{"text":"up"}}')}`;

describe("HEAD is answered as GET is, without the body", () => {
  for (const path of [
    "/",
    "/docs",
    "/v1/logs?text=up",
    "/v1/devices/host-1",
    "/v1/devices/unknown",
    "/v1/logs?page_size=-1",
    "/v1/nothing",
    "/v1/export",
    "/v1/export?format=xml",
    "/v1/tail",
    "/openapi.json",
    byGet,
  ]) {
    test(path, async () => {
      const get = await ask("GET", path);
      const head = await ask("HEAD", path);
      assert.deepEqual([head.status, head.text], [get.status, ""]);
      // Where a body is sent in chunks, HEAD leaves out how.
      const named = ({ headers }: typeof get) =>
        Object.keys(headers).filter((name) => !["date", "transfer-encoding", "x-cache"].includes(name));
      assert.deepEqual(named(head).sort(), named(get).sort());
      for (const name of ["content-type", "content-length", "etag", "cache-control", "vary"])
        assert.equal(head.headers[name], get.headers[name], name);
    });
  }

  test("also to a client that has this version already", async () => {
    const { headers } = await ask("GET", "/v1/devices");
    for (const known of [headers.etag ?? "", `"x", ${(headers.etag ?? "").replace("W/", "")}`, "*"]) {
      for (const method of ["GET", "HEAD"]) {
        const again = await ask(method, "/v1/devices", { "if-none-match": known });
        assert.deepEqual([again.status, again.text], [304, ""], `${method} ${known}`);
      }
    }
  });

  test("over HTTP/2", async () => {
    const session = connectHttp2(gateway.url);
    const stream = session.request({ ":method": "HEAD", ":path": byGet });
    const [headers] = (await once(stream, "response")) as [Record<string, string>];
    assert.equal(headers[":status"], 200);
    assert.match(String(headers["content-type"]), /json/);
    session.destroy();
  });
});

describe("a method that an address does not have is 405 with those that it has", () => {
  for (const [path, allowed] of [
    ["/", "GET, HEAD"],
    ["/docs", "GET, HEAD"],
    ["/v1/logs", "GET, HEAD"],
    ["/v1/tail", "GET, HEAD"],
    ["/v1/export", "GET, HEAD"],
    ["/openapi.json", "GET, HEAD"],
    [listLogsPath, "POST, GET, HEAD"],
    ["/fleetlog.v1.QueryService/TailLogs", "POST"],
  ] as const) {
    test(`${path}: ${allowed}`, async () => {
      for (const method of ["PUT", "DELETE", "PATCH", "PROPFIND"]) {
        const { status, headers, text } = await ask(method, path);
        assert.deepEqual([status, headers.allow], [405, allowed]);
        assert.match(
          text,
          new RegExp(`"unimplemented".*method ${method}: expected ${allowed.replaceAll(", ", " or ")}`),
        );
      }
    });
  }

  test("OPTIONS lists them, too", async () => {
    const { status, headers } = await ask("OPTIONS", "/v1/logs");
    assert.deepEqual([status, headers.allow], [204, "GET, HEAD"]);
    assert.equal((await ask("OPTIONS", "/v1/nothing")).status, 404);
  });
});

describe("a page of the dashboard", () => {
  test("is sent to curl, which accepts anything, and refused to a program that accepts JSON alone", async () => {
    for (const path of ["/docs", "/devices/host-1"]) {
      for (const accept of [undefined, "*/*", "text/*", "application/json, text/plain, */*"]) {
        const page = await ask("GET", path, accept === undefined ? {} : { accept });
        assert.deepEqual(
          [page.status, page.headers["content-type"]],
          [200, "text/html;charset=utf-8"],
          accept,
        );
      }
      for (const accept of ["application/json", "application/json, text/html;q=0"]) {
        const refused = await ask("GET", path, { accept });
        assert.deepEqual([refused.status, refused.headers["content-type"]], [406, "application/json"]);
        assert.match(refused.text, /"invalid_argument".*\/openapi\.json/);
      }
    }
  });

  test("tells a browser that an address is unknown, where a program gets JSON", async () => {
    for (const path of ["/nothing", "/v1/nothing", "/devices/a/b"]) {
      const page = await ask("GET", path, { accept: "text/html,application/xhtml+xml,*/*;q=0.8" });
      assert.deepEqual([page.status, page.headers["content-type"]], [404, "text/html;charset=utf-8"]);
      assert.match(String(page.headers["content-security-policy"]), /default-src 'none'/);
      const json = await ask("GET", path, { accept: "*/*" });
      assert.deepEqual([json.status, json.headers["content-type"]], [404, "application/json"]);
    }
    assert.equal(
      (await ask("POST", "/nothing", { accept: "text/html" })).headers["content-type"],
      "application/json",
    );
  });
});
