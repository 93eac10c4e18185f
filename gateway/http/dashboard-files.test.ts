import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
before(async () => {
  gateway = await startWithTwoHosts();
});
after(() => gateway[Symbol.asyncDispose]());

const fetchPage = (path: string, headers: Record<string, string> = {}, method = "GET") =>
  fetch(gateway.url + path, { method, headers: { accept: "text/html,*/*", ...headers } });

test("every place of the page is the page, for a browser", async () => {
  for (const path of ["/", "/?q=x", "/live", "/devices", "/devices/host-1", "/health", "/docs"]) {
    const response = await fetchPage(path);
    assert.equal(response.status, 200, path);
    assert.match(await response.text(), /<div id="page">/);
  }
  assert.equal((await fetchPage("/devices/a/b")).status, 404);
  assert.equal((await fetchPage("/index.html")).status, 404);
  const program = await fetchPage("/", { accept: "*/*" });
  assert.equal(program.headers.get("content-type"), "application/json");
});

test("its policy lets nothing run, load or be reached but the gateway's own", async () => {
  const { headers } = await fetchPage("/");
  const policy = headers.get("content-security-policy") ?? "";
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"]) {
    assert.ok(policy.includes(rule), rule);
  }
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  assert.equal(headers.get("x-content-type-options"), "nosniff");
});

test("files named by a digest are kept forever, the page is revalidated and answered with 304", async () => {
  const page = await fetchPage("/");
  assert.equal(page.headers.get("cache-control"), "no-cache");
  const etag = page.headers.get("etag") ?? "";
  const again = await fetchPage("/", { "if-none-match": etag });
  assert.deepEqual([again.status, await again.text()], [304, ""]);
  const [script = ""] = /\/assets\/[\w-]+\.js/.exec(await page.text()) ?? [];
  const asset = await fetchPage(script);
  assert.match(asset.headers.get("cache-control") ?? "", /immutable/);
  assert.equal(asset.headers.get("content-encoding"), "gzip");
  const plain = await fetchPage(script, { "accept-encoding": "identity" });
  assert.equal(plain.headers.get("content-encoding"), null);
  assert.notEqual(plain.headers.get("etag"), asset.headers.get("etag"));
  assert.equal(await plain.text(), await asset.text());
  const head = await fetchPage(script, {}, "HEAD");
  assert.deepEqual([head.status, await head.text()], [200, ""]);
});

test("nothing outside of the page's folder is reached", async () => {
  for (const path of ["/.built-from", "/../gateway.ts", "/assets/%2e%2e/%2e%2e/build.ts", "/index.html.gz"]) {
    assert.equal((await fetchPage(path)).status, 404, path);
  }
});
