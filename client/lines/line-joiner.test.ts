import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { limits } from "#batch/limits.ts";
import { LineJoiner, type Multiline } from "#client/lines/line-joiner.ts";
import { TimeReader } from "#client/lines/time-reader.ts";

/** The records that the lines make. */
function toRecords(lines: readonly string[], multiline?: Multiline): string[][] {
  const [joiner, times] = [new LineJoiner(multiline), new TimeReader()];
  const records: string[][] = [];
  for (const line of lines) {
    const bytes = Buffer.from(line);
    if (joiner.continues(bytes, times.read(bytes).time !== undefined)) records.at(-1)?.push(line);
    else records.push([line]);
  }
  return records;
}

const traces = {
  Java: [
    "2026-11-27 17:01:02,123 ERROR [main] Server: request failed",
    "java.lang.IllegalStateException: closed",
    "\tat com.example.Pump.read(Pump.java:12)",
    "\t... 12 more",
    "Caused by: java.io.IOException: gone",
    "\tat com.example.Link.open(Link.java:3)",
  ],
  "a Java thread": [
    'Exception in thread "main" java.lang.RuntimeException: x',
    "\tat Main.main(Main.java:3)",
    "\tSuppressed: java.lang.Exception: y",
  ],
  Python: [
    "2026-11-27 17:01:02,123 ERROR request failed",
    "Traceback (most recent call last):",
    '  File "pump.py", line 3, in read',
    "    raise ValueError('x')",
    "ValueError: x",
    "",
    "During handling of the above exception, another exception occurred:",
    "",
    "Traceback (most recent call last):",
    '  File "pump.py", line 9, in main',
    "OSError: y",
  ],
  Go: [
    "2026/11/27 17:01:02 about to fail",
    "panic: runtime error: index out of range [3]",
    "",
    "goroutine 1 [running]:",
    "main.read(0x1, 0x2)",
    "\t/src/pump.go:12 +0x1d",
    "main.main()",
    "\t/src/main.go:3 +0x11",
    "exit status 2",
  ],
  Rust: [
    "thread 'main' panicked at src/main.rs:4:5:",
    "index out of bounds: the len is 3 but the index is 99",
    "stack backtrace:",
    "   0: rust_begin_unwind",
    "             at /rustc/9fc6b431/library/std/src/panicking.rs:665:5",
    "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.",
  ],
  "Rust before 1.73": [
    "thread 'worker' panicked at 'boom', src/main.rs:4:5",
    "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
  ],
  Node: [
    "2026-11-27T17:01:02Z ERROR request failed",
    "Error: boom",
    "    at read (/srv/pump.js:3:9)",
    "    at async main (/srv/main.js:1:1) {",
    "  code: 'ENOENT'",
    "}",
  ],
  ".NET": [
    "2026-11-27 17:01:02 ERROR failed",
    "System.InvalidOperationException: x",
    "   at Pump.Read() in Pump.cs:line 3",
    "   --- End of inner exception stack trace ---",
  ],
} as const;

for (const [language, lines] of Object.entries(traces)) {
  test(`the stack trace of ${language} is one record with its error, and the next line another`, () => {
    const next = "2026-11-27 17:01:03 INFO goes on";
    assert.deepEqual(toRecords([...lines, next]), [[...lines], [next]]);
  });
}

describe("a line that continues nothing is its own record:", () => {
  for (const lines of [
    ["plain", "text", "", "  indented, behind a line without a time"],
    ["2026-11-27 17:01:02 a", "2026-11-27 17:01:03 b", "not indented"],
    ["Error: x", "Warning: y"],
    ["Commandline: apt", "Install: a", "Error: b"],
  ]) {
    test(lines.join(" ⏎ "), () =>
      assert.deepEqual(
        toRecords(lines),
        lines.map((line) => [line]),
      ),
    );
  }
});

test("off: each line is a record; a pattern: each match starts one", () => {
  assert.equal(toRecords(traces.Java, "off").length, traces.Java.length);
  assert.deepEqual(toRecords(["#1", "a", "#2", "b", "c"], /^#/), [
    ["#1", "a"],
    ["#2", "b", "c"],
  ]);
  assert.deepEqual(toRecords(["Начало 1", "a", "Начало 2"], /^Начало/), [["Начало 1", "a"], ["Начало 2"]]);
});

test("a record is bounded in lines and bytes, and the excess becomes another record", () => {
  const many = ["2026-11-27 17:01:02 x", ...Array.from({ length: 2_500 }, () => "\tat a(b)")];
  assert.deepEqual(
    toRecords(many).map(({ length }) => length),
    [1_000, 1_000, 501],
  );
  const large = ["2026-11-27 17:01:02 x", ...Array.from({ length: 10 }, () => `\tat ${"x".repeat(20_000)}`)];
  for (const record of toRecords(large))
    assert(Buffer.byteLength(record.join("\n")) <= limits.messageBytesMax);
  assert.equal(toRecords(large).flat().length, large.length);
});
