import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { projectFolder } from "#dev/folders.ts";
import { breakingChanges } from "./checks.ts";

/** What `npm run check` says of the contract with this change. */
function changesAfter(file: string, search: string, replacement: string): string {
  const folder = mkdtempSync(join(tmpdir(), "fleetlog-contract-"));
  try {
    cpSync(join(projectFolder, "proto/fleetlog"), join(folder, "fleetlog"), { recursive: true });
    writeFileSync(join(folder, "buf.yaml"), "version: v2\nbreaking:\n  use: [FILE]\n");
    const path = join(folder, "fleetlog/v1", file);
    const text = readFileSync(path, "utf8");
    assert(text.includes(search), search);
    writeFileSync(path, text.replace(search, replacement));
    return breakingChanges(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const [what, file, search, replacement] of [
  ["another number of a field", "log.proto", "uint64 sequence = 3;", "uint64 sequence = 33;"],
  ["another type of a field", "log.proto", "fixed64 uptime_nano = 10;", "uint64 uptime_nano = 10;"],
  ["another name, which JSON has", "ingest.proto", "uint32 rejected = 5;", "uint32 refused = 5;"],
  ["an RPC that is gone", "ingest.proto", "rpc GetLimits(", "rpc GetBounds("],
  [
    "another number of an enum",
    "ingest.proto",
    "BATCH_ERROR_CODE_UNAVAILABLE = 14;",
    "BATCH_ERROR_CODE_UNAVAILABLE = 15;",
  ],
  ["another package for Go", "log.proto", 'go_package = "', 'go_package = "other/'],
] as const) {
  test(`the check of the contract finds ${what}`, () => {
    assert.notEqual(changesAfter(file, search, replacement), "");
  });
}

test("the check of the contract lets a new field pass", () => {
  assert.equal(
    changesAfter("log.proto", "uint64 sequence = 3;", "uint64 sequence = 3;\n  string added = 1000;"),
    "",
  );
});
