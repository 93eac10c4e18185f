import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { processIdentity } from "#dev/process-identity.ts";
import { startRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { startServer } from "./testing/server-program.ts";

test("a server that cannot start fails its test at once", async (t) => {
  await assert.rejects(
    startServer(t, "redis://127.0.0.1:1", { STREAM_SHARDS: "nonsense" }),
    /^Error: ended with 1 before the server's addresses/,
  );
});

test("a test file that fails outside of its tests leaves no server running, and no open handle", async (t) => {
  const redis = await startRedis();
  t.after(() => redis[Symbol.asyncDispose]());
  const support = new URL("testing/server-program.ts", import.meta.url).href;
  const script = `import { after, test } from "node:test";
    const { startServer } = await import(${JSON.stringify(support)});
    const { pid } = await startServer({ after }, ${JSON.stringify(redis.url)});
    console.log("pid " + pid + ".");
    throw new Error("in vain");`;
  const file = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let isClosed = false;
  file.stdout.on("data", (data) => (output += String(data)));
  file.stderr.resume();
  file.once("close", () => (isClosed = true));
  await waitFor("the end of all of its output", () => isClosed);
  const pid = Number(/pid (\d+)\./.exec(output)?.[1]);
  assert(pid > 0, output);
  await waitFor("the server to end", () => processIdentity(pid) === undefined);
});
