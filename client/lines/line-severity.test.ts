import assert from "node:assert/strict";
import { test } from "node:test";
import { readLineSeverity } from "#client/lines/line-severity.ts";
import { TimeReader } from "#client/lines/time-reader.ts";
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

/** Uses the time that the reader found in the line. */
const heads: readonly [line: string, wanted: Severity | undefined][] = [
  ["<163>1 2026-11-27T17:01:02Z host app 1 - - x", Severity.ERROR],
  ["<34>Nov 27 17:01:02 host su: failed", Severity.ERROR2],
  ['{"level":50,"time":1795798862123,"msg":"x"}', Severity.ERROR],
  ['{"level":30,"msg":"no error"}', Severity.INFO],
  ['{"level":"warn","msg":"ERROR in the text"}', Severity.WARN],
  ['{"PRIORITY":"3","MESSAGE":"x"}', Severity.ERROR],
  ['{"severity":"CRITICAL","message":"x"}', Severity.ERROR2],
  ["ts=2026-11-27T17:01:02Z lvl=dbug msg=x", Severity.DEBUG],
  ["ts=2026-11-27T17:01:02Z lvl=warn msg=x", Severity.WARN],
  ["E1127 17:01:02.123456       1 reflector.go:138] failed", Severity.ERROR],
  ["W1127 17:01:02.123456       1 a.go:1] slow", Severity.WARN],
  ["11-27 17:01:02.123  1702  2395 E ActivityManager: crash", Severity.ERROR],
  ["1234:M 27 Nov 2026 17:01:02.123 # WARNING overcommit", Severity.WARN],
  ["1234:M 27 Nov 2026 17:01:02.123 * Ready", Severity.INFO2],
  ["2026-11-27 17:01:02 error could not open", Severity.ERROR],
  ["2026-11-27 17:01:02\twarn\tslow", Severity.WARN],
  ["2026-11-27 17:01:02 | debug | x", Severity.DEBUG],
  ["2026-11-27 17:01:02 [main] info: x", Severity.INFO],
  ["2026/11/27 17:01:02 [crit] 31#31: x", Severity.ERROR2],
  ["2026-11-27 17:01:02 UTC [123] LOG:  checkpoint", Severity.INFO],
  ["2026-11-27 17:01:02 UTC [123] app@db FATAL:  no role", Severity.FATAL],
  ["2026-11-27 17:01:02 UTC [123] PANIC:  x", Severity.FATAL],
  ["2026-11-27 17:01:02 Stack trace:", undefined],
  ["Stack trace: follows", undefined],
  ["STACK TRACE", undefined],
  ["Full trace: follows", undefined],
  ["2026-11-27 17:01:02 no error: all well", undefined],
  ['10.0.0.1 - - [27/Nov/2026:17:01:02 +0000] "TRACE / HTTP/1.1" 405 5', undefined],
  ["[Fri Nov 27 17:01:02 2026] [core:error] [pid 1] x", Severity.ERROR],
  ["E/ActivityManager( 123): crash", Severity.ERROR],
  ["2026-11-27 17:01:02 UTC [123] DEBUG1:  x", Severity.DEBUG],
  ['{"t":{"$date":"2026-11-27T17:01:02Z"},"s":"E","msg":"x"}', Severity.ERROR],
  ["npm error code E404", Severity.ERROR],
  ["2026-11-27 17:01:02 WRN slow", Severity.WARN],
  ["fail: Pump[0]", Severity.ERROR],
  ["[E 2026-11-27 17:01:02.5 web:1] x", Severity.ERROR],
  ["2026-11-27 17:01:02 the error in prose", undefined],
  ["E20261127 17:01:02.5 1 a.cc:1] glog with a year", Severity.ERROR],
  ['{"@t":"2026-11-27T17:01:02Z","@l":"Warning"}', Severity.WARN],
  ['{"Timestamp":"2026-11-27T17:01:02Z","Level":"Information"}', Severity.INFO],
  ['web-1  | {"time":"2026-11-27T17:01:02Z","level":50}', Severity.ERROR],
  ['{"priority":1,"msg":"of a task, not of syslog"}', undefined],
  ["t=2026-11-27T17:01:02Z lvl=eror msg=x", Severity.ERROR],
  ["2026-11-27 17:01:02 copied, t=2 s=3", undefined],
  ["copied, t=2 s=3", undefined],
];
for (const [line, wanted] of heads) {
  test(`"${line}" has severity ${wanted}`, () => {
    const bytes = Buffer.from(line);
    const { end, structured } = new TimeReader({ nowMs: Date.UTC(2026, 10, 28) }).read(bytes);
    assert.equal(readLineSeverity(bytes, end, structured), wanted);
  });
}
