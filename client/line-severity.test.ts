import assert from "node:assert/strict";
import { test } from "node:test";
import { readLineSeverity } from "#client/line-severity.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

const cases: readonly [line: string, wanted: Severity | undefined][] = [
  ["ERROR could not open", Severity.ERROR],
  ["main WARN slow", Severity.WARN],
  ["[warning] slow", Severity.WARN],
  ["[host] [Debug] x", Severity.DEBUG],
  ["error: no such file", Severity.ERROR],
  ["dpkg: warning: files list missing", Severity.WARN],
  ["Error: at line 3", Severity.ERROR],
  ["<notice> rotated", Severity.INFO2],
  ["kernel: CRITICAL temperature", Severity.ERROR2],
  ['{"level":"error","msg":"x"}', Severity.ERROR],
  ["level=fatal msg=x", Severity.FATAL],
  ["INFO after an ERROR", Severity.INFO],
  ["status installed libgpg-error0:amd64", undefined],
  ["install liberror-perl:all", undefined],
  ["an error in prose", undefined],
  ["golang-error: a package", undefined],
  ["INFORMATION", undefined],
  [`${"x".repeat(90)} ERROR too far behind`, undefined],
  ["", undefined],
];
for (const [line, wanted] of cases) {
  test(`"${line.slice(0, 50)}" has severity ${wanted}`, () =>
    assert.equal(readLineSeverity(Buffer.from(line), 0), wanted));
}
