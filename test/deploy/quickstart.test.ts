import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { execa } from "execa";
import { Client } from "pg";
import { projectFolder } from "#dev/folders.ts";
import { writePidFile } from "#dev/leftovers.ts";
import { startSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";

// Every command of QUICKSTART.md as it stands there, but for the addresses and what `npm start` printed. `npm start` itself
// is tried by dev/start.test.ts, what needs Docker by `npm run test:compose`.

const guide = readFileSync(join(projectFolder, "QUICKSTART.md"), "utf8");

/** The commands of a section, each with its continued lines. */
function findCommands(section: number): readonly string[] {
  const [, text = ""] = new RegExp(`^## ${section}\\. .*\\n([^]*?)(?=^## )`, "m").exec(guide) ?? [];
  const lines = [...text.matchAll(/^ {4}(.*)$/gm)].map(([, line = ""]) => line).join("\n");
  return lines
    .replaceAll(/\\\n\s*/g, " ")
    .split("\n")
    .filter((line) => /^(curl|npx|kill|psql)\b/.test(line));
}

test("every command of QUICKSTART.md does what it says", async (t) => {
  await using system = await startSystem();
  const folder = mkdtempSync(join(tmpdir(), "fleetlog-quickstart-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "dpkg.log");
  writeFileSync(file, "2026-01-01 10:00:00 install one\n2026-01-01 10:00:01 remove two\n");
  mkdirSync(join(folder, ".fleetlog/run"), { recursive: true });

  const here = (command: string) =>
    command
      .replaceAll("127.0.0.1:8080", new URL(system.httpUrl).host)
      .replace("npx fleetlog", `node ${join(projectFolder, "client/fleetlog.mjs")}`)
      .replace("/var/log/dpkg.log ", `--address ${system.grpcAddress} ${file} `);
  const run = async (command: string): Promise<string> => {
    const { stdout, stderr } = await execa("sh", ["-c", here(command)], {
      cwd: folder,
      timeout: 30_000,
      preferLocal: true,
      localDir: projectFolder,
    });
    return `${stdout}${stderr}`;
  };
  const one = (section: number): string =>
    findCommands(section)[0] ?? assert.fail(`no command in ${section}`);
  const again = (sequence: number) => one(2).replace('"sequence":"1"', `"sequence":"${sequence}"`);
  const until = (command: string, wanted: RegExp) =>
    waitFor(String(wanted), async () => wanted.test(await run(command)));

  const ack =
    /^\{"ack":\{"sequence":"1","accepted":1,"rejections":\[\],"rejected":0,"serverTimeUnixNano":"\d+","sessionId":""\}\}$/;
  assert.match(await run(one(2)), ack);
  assert.match(await run(one(2)), ack);
  await until(
    one(3),
    /"message":"no water","attributes":\{"room":"kitchen"\},"traceId":"","spanId":"","eventName":"","severityText":"WARN","isTextRepaired":false,"timeSource":"TIME_SOURCE_RECEIVED"\}\],"nextPageToken":""\}$/,
  );

  const [send = "", find = "", devices = ""] = findCommands(4);
  assert.match(await run(send), /2 records acknowledged/);
  await until(find, /^\{"logs":\[\{[^{]*"message":"2026-01-01 10:00:00 install one"/);
  await until(devices, /"host-1".*"kettle"/);

  const tail = spawn("sh", ["-c", `exec ${here(one(5))}`], { stdio: ["ignore", "pipe", "inherit"] });
  let followed = "";
  tail.stdout.on("data", (chunk: Buffer) => (followed += chunk.toString()));
  await waitFor("what was there before", () => followed.includes('"sequence":"1"'));
  await run(again(2)); // a step left out would be a hole in the end
  await waitFor("the new record", () => followed.includes('"sequence":"2"'));
  tail.kill();
  await once(tail, "exit");

  const [bad = "", letters = ""] = findCommands(6);
  assert.match(await run(bad), /"accepted":1,"rejections":\[\{"index":1,"reason":"message has a NUL/);
  await until(letters, /"sequence":"3","index":1,"reason":"message has a NUL/);

  system.consumer.keepRunning(() => undefined);
  writePidFile(join(folder, ".fleetlog/run/consumer.pid"), system.consumer.pid, "SIGTERM");
  await run(one(7));
  assert.match(await run(again(4)), /"accepted":1/);
  await until(one(3), /"sequence":"4"/);
  await until(
    `curl -sS ${system.httpUrl}/v1/devices/kettle`,
    /"receivedRanges":\[\{"first":"1","last":"4"\}\],"holes":\[\]/,
  );

  // Without psql, which need not be on the machine that tests.
  const [, query = ""] = /-c "(.*)"$/.exec(one(8)) ?? [];
  const client = new Client({ connectionString: system.databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ message: string }>(query);
  await client.end();
  assert.deepEqual(
    rows.map(({ message }) => message),
    ["no water", "no water", "fine", "no water"],
  );
});
