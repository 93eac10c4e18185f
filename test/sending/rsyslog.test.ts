import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { execa } from "execa";
import { parseListenAddresses } from "#client/syslog/listen-address.ts";
import { runSyslogAgent } from "#client/syslog/syslog-agent.ts";
import { StoredLogs } from "#client/testing/stored-logs.ts";
import { AptFetchError, fetchFromApt } from "#dev/fetch-from-apt.ts";
import { binariesFolder } from "#dev/folders.ts";
import { tieToProcess } from "#test/support/own-child.ts";
import { startSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { docBlocks } from "./doc-blocks.ts";

const folder = join(binariesFolder, "rsyslog");

async function isFetched(): Promise<boolean> {
  if (existsSync(folder)) return true;
  try {
    await fetchFromApt(["rsyslog", "libestr0", "libfastjson4", "liblognorm5"], folder, () => []);
    return true;
  } catch (error) {
    if (!(error instanceof AptFetchError)) throw error;
    process.stdout.write(`rsyslog is not tried: ${error.message}\n`);
    return false;
  }
}

test("rsyslog, configured as in docs/SENDING.md, reaches the records", {
  skip: !(await isFetched()),
}, async (t) => {
  await using system = await startSystem({ servers: 1 });
  await using stored = new StoredLogs(system.databaseUrl);
  const work = await mkdtemp(join(tmpdir(), "fleetlog-rsyslog-"));
  t.after(() => rm(work, { recursive: true, force: true }));

  const stop = new AbortController();
  const results: string[] = [];
  const agent = runSyslogAgent(
    {
      listen: parseListenAddresses("tcp://127.0.0.1:0"),
      address: system.grpcAddress,
      keepUntil: "accepted",
      devicesMax: 10,
      pendingBytesMax: 16 * 1024 * 1024,
      connectionsMax: 10,
      zone: "UTC",
    },
    { output: { result: (text) => results.push(text), problem: () => {} }, signal: stop.signal },
  );
  await waitFor("the listener", () => results.length > 0);
  const port = /:(\d+)$/.exec(results[0] ?? "")?.[1] ?? "";

  const action = docBlocks("## syslog").find((block) => block.startsWith("*.* action"));
  assert.ok(action);
  const socket = join(work, "log");
  const configFile = join(work, "rsyslog.conf");
  await writeFile(
    configFile,
    `module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="${socket}" CreatePath="on")
global(workDirectory="${work}" localHostname="rsyslog-host")
${action.replace("5514", port)}`,
  );
  const libraries = join(folder, "usr/lib/x86_64-linux-gnu");
  const child = spawn(join(folder, "usr/sbin/rsyslogd"), ["-n", "-i", "NONE", "-f", configFile], {
    env: { LD_LIBRARY_PATH: libraries, RSYSLOG_MODDIR: join(libraries, "rsyslog") },
    stdio: "ignore",
  });
  tieToProcess(child);
  const exited = once(child, "exit");
  try {
    await waitFor("rsyslog's socket", () => existsSync(socket));
    await execa("logger", ["-u", socket, "-t", "app", "-p", "daemon.crit", "through rsyslog"]);
    // rsyslog logs its own start, too.
    const found = await waitFor("the record", async () => {
      const records = await stored.toRecords("rsyslog-host", 1);
      return records.find(({ message }) => message === "through rsyslog");
    });
    assert.equal(found.severity, 18);
    assert.equal(found.attributes["facility"], "daemon");
  } finally {
    child.kill();
    await exited;
    stop.abort();
    assert.equal(await agent, 0);
  }
});
