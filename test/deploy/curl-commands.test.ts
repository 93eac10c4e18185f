import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { execa } from "execa";
import { startSystem } from "#test/support/system.ts";
import { documents } from "./documents.ts";

// Every command with curl on the port for HTTP/1.1 as it stands in a document, but for the address and what follows a pipe.
// QUICKSTART.md has its own test; those that read on without an end (-N) are left out.

const commands = documents
  .filter(({ path }) => path !== "QUICKSTART.md")
  .flatMap(({ path, text }) => findCurls(text).map((command) => ({ path, command })));

function findCurls(text: string): string[] {
  const lines = text.replaceAll(/\\\n\s*/g, " ");
  const found = [...lines.matchAll(/(?:^ {4}|`)(curl [^\n`]*127\.0\.0\.1:8080[^\n`]*)/gm)];
  return found
    .map(([, command = ""]) => command.split(" | ")[0]!)
    .filter((command) => !/ -\w*N/.test(command));
}

test("every curl command of the documents succeeds", async (t) => {
  await using system = await startSystem();
  const folder = mkdtempSync(join(tmpdir(), "fleetlog-curl-"));
  t.after(() => rmSync(folder, { recursive: true }));
  assert.ok(commands.length >= 8, `${commands.length} commands`);
  for (const { path, command } of commands) {
    const here = command
      .replace("127.0.0.1:8080", new URL(system.httpUrl).host)
      .replace(/^curl( -sSf)?/, "curl -sS --fail-with-body");
    const { exitCode, stdout, stderr } = await execa("sh", ["-c", here], {
      cwd: folder,
      timeout: 30_000,
      reject: false,
    });
    assert.equal(exitCode, 0, `${path}: ${command}\n${stdout}${stderr}`);
  }
});
