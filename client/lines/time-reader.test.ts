import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { timePattern } from "#client/lines/time-pattern.ts";
import { TimeReader, type TimeReaderOptions } from "#client/lines/time-reader.ts";
import { parseTimeZone } from "#client/lines/time-zone.ts";

/** A Saturday, a day after the lines. */
const nowMs = Date.UTC(2026, 10, 28, 12);

function readTime(line: string | Buffer, options: TimeReaderOptions = {}): string | undefined {
  const { time } = new TimeReader({ zone: 0, nowMs, ...options }).read(Buffer.from(line));
  if (time === undefined) return undefined;
  const [seconds, nanos] = [time / 1_000_000_000n, time % 1_000_000_000n];
  const text = new Date(Number(seconds) * 1_000).toISOString().slice(0, 19);
  return nanos === 0n ? text : `${text}.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
}

const at = "2026-11-27T17:01:02";

describe("the time of a line is parsed from", () => {
  const cases: readonly [line: string, wanted: string][] = [
    // Year first.
    ["2026-11-27 17:01:02 status installed libc6:amd64", at],
    ["2026-11-27T17:01:02Z up", at],
    ["2026-11-27T17:01:02.5z up", `${at}.5`],
    ["2026-11-27t17:01:02Z up".replace("t", "T"), at],
    ["2026-11-27T17:01:02.1234567890123Z of more digits than nanoseconds", `${at}.123456789`],
    ["2026-11-27 17:01:02,123 INFO  [main] o.a.Server: started", `${at}.123`],
    ["2026/11/27 17:01:02 [error] 31#31: *7 open() failed", at],
    ["2026/11/27 17:01:02.123456 main.go:12: listening", `${at}.123456`],
    ["2026-11-27 17:01:02.123 UTC [123] LOG:  checkpoint starting", `${at}.123`],
    ["2026-11-27 18:01:02.123 CET [123] app@db ERROR:  no such table", `${at}.123`],
    ["[2026-11-27T17:01:02Z] in brackets", at],
    ["2026-11-27 17:01:02, Info                  CBS    Starting", at],
    ["2026-11-27_17:01:02.12345 svlogd", `${at}.12345`],
    ["2026-11-27-17.01.02".replaceAll(".", ":"), at],
    ["20261127T170102Z basic", at],
    ["20261127-17:1:2:606|Step_LSC|30002312|onStandStepChanged 3579", `${at}.606`],
    ["2026-W48-5T17:01:02Z a week date", at],
    ["2026-331T17:01:02Z a day of the year", at],
    ["Start-Date: 2026-11-27  17:01:02", at],
    ["Log started: 2026-11-27  17:01:02", at],
    // Syslog.
    ["<163>1 2026-11-27T17:01:02.003Z host app 1 - - it", `${at}.003`],
    ["<34>Nov 27 17:01:02 host su: failed", at],
    ["Nov 27 17:01:02 host sshd[1]: closed", at],
    ["Nov  7 17:01:02 host sshd[1]: closed", "2026-11-07T17:01:02"],
    ["Dec 27 17:01:02 host of last year", "2025-12-27T17:01:02"],
    ["Nov 27 2026 17:01:02: %ASA-6-302013: built", at],
    ["2026-11-27T18:01:02+01:00 host systemd[1]: short-iso", at],
    // The month as a word.
    ["Fri Nov 27 17:01:02 2026 a C program", at],
    ["[Fri Nov 27 17:01:02.123456 2026] [core:error] [pid 1] Apache", `${at}.123456`],
    ["Fri Nov 27 17:01:02 UTC 2026", at],
    ["Fri Nov 27 18:01:02 CET 2026", at],
    ["Fri, 27 Nov 2026 17:01:02 +0000 of a mail", at],
    ["1234:M 27 Nov 2026 17:01:02.123 * Ready to accept connections", `${at}.123`],
    ["27-Nov-2026 17:01:02.123 queries: info: client", `${at}.123`],
    ["Nov 27, 2026 5:01:02 PM org.apache.catalina.startup", at],
    ['10.0.0.1 - - [27/Nov/2026:17:01:02 +0000] "GET / HTTP/1.1" 200 5', at],
    ['::1 - alice [27/Nov/2026:18:01:02 +0100] "GET / HTTP/1.1" 200 5', at],
    // Programs with a format of their own.
    ["E1127 17:01:02.123456       1 reflector.go:138] failed", `${at}.123456`],
    ["11-27 17:01:02.123  1702  2395 E ActivityManager: crash", `${at}.123`],
    ["26/11/27 17:01:02 INFO executor.CoarseGrained: started", at],
    ["261127 170102 148 INFO dfs.DataNode$PacketResponder: done", at],
    // Since 1970.
    ["[1795798862] in seconds", at],
    ["1795798862123 in milliseconds", `${at}.123`],
    ["Fri 27 Nov 2026 05:01:02 PM UTC", at],
    ["Fri Nov 27 05:01:02 PM UTC 2026", at],
    ["[INFO] 2026-11-27 17:01:02 x", at],
    ["ERROR [2026-11-27 17:01:02] x", at],
    ["I, [2026-11-27T17:01:02.5 #12]  INFO -- : Ruby", `${at}.5`],
    ["[I 2026-11-27 17:01:02.5 web:1] Tornado", `${at}.5`],
    ["web-1  | 2026-11-27T17:01:02Z of Compose", at],
    ["update-alternatives 2026-11-27 17:01:02: run", at],
    ["E20261127 17:01:02.5 1 a.cc:1] glog", `${at}.5`],
    ["2026-11-27 17:01:02 retry in time=1700000000", at],
    ["1795798862.123  45 10.0.0.1 TCP_MISS/200", `${at}.123`],
    ["[1795798862123] in milliseconds", `${at}.123`],
    ["- 1795798862 2026.11.27 R02-M1 RAS KERNEL INFO", at],
    ["type=SYSCALL msg=audit(1795798862.123:45): arch=c000003e", `${at}.123`],
    // Fields.
    ['{"level":30,"time":1795798862123,"msg":"pino"}', `${at}.123`],
    ['{"ts":1795798862.5,"msg":"zap"}', `${at}.5`],
    ['{"timestamp":"2026-11-27T17:01:02.5Z"}', `${at}.5`],
    ['{"@timestamp":"2026-11-27T18:01:02+01:00","message":"x"}', at],
    ['{"time":"2026-11-27 17:01:02"}', at],
    ['{"t":{"$date":"2026-11-27T17:01:02.5Z"},"s":"E"}', `${at}.5`],
    ['{"time":0.5,"ts":"2026-11-27T17:01:02Z"}', at],
    ['{"__REALTIME_TIMESTAMP":"1795798862123456","MESSAGE":"journal"}', `${at}.123456`],
    ['{"ts":1795798862123456789}'.replace("6789", "6000"), `${at}.123456`],
    ['time="2026-11-27T17:01:02Z" level=warning msg="logrus"', at],
    ["ts=2026-11-27T17:01:02.5Z caller=main.go:1 level=info", `${at}.5`],
    ["level=info ts=1795798862 msg=x", at],
    ['{"ts":1795798862123456789,"msg":"nanoseconds to the last digit"}', `${at}.123456789`],
    ['{"@t":"2026-11-27T17:01:02Z","@mt":"Serilog"}', at],
    ['{"Timestamp":"2026-11-27T17:01:02Z","Level":"Error"}', at],
    ['web-1  | {"time":"2026-11-27T17:01:02Z","msg":"of Compose"}', at],
    ["web-1  | time=2026-11-27T17:01:02Z level=info", at],
    ["2026-11-27 17:01:02[info] nothing between", at],
    ["2020-W53-5T17:01:02Z a year with 53 weeks", "2021-01-01T17:01:02"],
  ];
  for (const [line, wanted] of cases) test(line, () => assert.equal(readTime(line), wanted));
});

test("a time without a year is in the year when its line is read, however long the pipe is open", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 11, 31, 12) });
  const reader = new TimeReader({ zone: 0 });
  const readYear = (line: string) =>
    new Date(Number((reader.read(Buffer.from(line)).time ?? 0n) / 1_000_000n)).getUTCFullYear();
  assert.equal(readYear("Dec 31 11:00:00 host x"), 2026);
  t.mock.timers.setTime(Date.UTC(2027, 2, 1, 12));
  assert.equal(readYear("Mar  1 11:00:00 host x"), 2027);
});

describe("zones", () => {
  const cases: readonly [line: string, wanted: string | undefined][] = [
    ["2026-11-27 17:01:02 UTC", at],
    ["2026-11-27 17:01:02 GMT x", at],
    ["2026-11-27T17:01:02UTC x", at],
    ["2026-11-27 10:01:02 PDT x", at],
    ["2026-11-27 19:01:02 CEST x", at],
    ["2026-11-27T17:01:02+00 x", at],
    ["2026-11-27T22:31:02+0530 x", at],
    ["2026-11-27T22:31:02+05:30 x", at],
    ["2026-11-27T09:01:02 -0800 git", at],
    ["2026-11-27 17:01:02 INFO no zone", at],
    ["2026-11-27 17:01:02 a b", at],
    // An unknown zone is not guessed.
    ["2026-11-27T17:01:02-99:99 x", undefined],
    ["2026-11-27T17:01:02+15:00 x", undefined],
    ["2026-11-27T17:01:02+05:07 x", undefined],
    ["2026-11-27 17:01:02 -1000 bytes", undefined],
    ["2026-11-27 17:01:02 -10:00 in Hawaii", "2026-11-28T03:01:02"],
    ["2026-11-27 17:01:02 -5 degrees", undefined],
    ["2026-11-27 17:01:02 -07 V", undefined],
    ["2026-11-28 03:01:02 +1000 in Brisbane", at],
    ["2026-11-27 07:01:02 -1000", at],
    ["Sat, 28 Nov 2026 06:01:02 +1300", at],
    ["2026-11-27 17:01:02 IST of India, Israel or Ireland", undefined],
    ["2026-11-27 17:01:02 CST of China or of Chicago", undefined],
    ["2026-11-27T17:01:02X military", undefined],
    ["2026-11-27T17:01:02abc", undefined],
    ["2026-11-27 17:01:02 utc x", at],
    ["2026-11-27T18:01:02+01:00[Europe/Berlin] of Java", at],
    ["2026-11-27T18:01:02[Europe/Berlin] x", undefined],
    ["2026-11-27 18:01:02 Europe/Berlin x", undefined],
    ["2026-11-27 14:01:02.5 -03 [77] LOG:  of PostgreSQL", `${at}.5`],
    ["2026-11-27 20:01:02.5 +03 [77] LOG:  of PostgreSQL", `${at}.5`],
    ["2026-11-27 17:01:02 +03 [degrees]", undefined],
    ["2026-11-27T17:01:02-13:00 x", undefined],
    ["2026-11-28T07:01:02+14:00 x", at],
    ["2026-11-27 17:01:02 +0800x", undefined],
    ["2026-11-27 17:01:023", undefined],
  ];
  for (const [line, wanted] of cases) test(`${line}: ${wanted}`, () => assert.equal(readTime(line), wanted));

  test("a time without a zone is in this machine's zone or the given one, with its summer time", () => {
    const local = new TimeReader().read(Buffer.from("2026-07-01 12:00:00 x")).time;
    assert.equal(local, BigInt(new Date("2026-07-01T12:00:00").getTime()) * 1_000_000n);
    for (const [zone, summer, winter] of [
      ["Europe/Berlin", "10", "11"],
      ["+05:30", "06", "06"],
      ["America/New_York", "16", "17"],
      ["UTC", "12", "12"],
    ] as const) {
      const options = { zone: parseTimeZone(zone) };
      assert.equal(readTime("2026-07-01 12:00:00", options)?.slice(11, 13), summer, zone);
      assert.equal(readTime("2026-01-01 12:00:00", options)?.slice(11, 13), winter, zone);
    }
    for (const bad of ["Europe/Atlantis", "+99:00", ""]) assert.throws(() => parseTimeZone(bad), RangeError);
  });
});

describe("no time is parsed from", () => {
  for (const line of [
    "",
    "no time",
    "at 2026-11-01 12:34:56",
    "2026-11-01",
    "2026-11-01 12:34",
    "2026-02-30 12:34:56",
    "2026-13-01 12:34:56",
    "2026-11-01 24:00:00",
    "2026-11-01 12:60:00",
    "1969-12-31T23:59:59Z",
    "9999-01-01T00:00:00Z",
    "Expires: 2099-01-01 00:00:00",
    "11/12/2026 12:34:56 of November or December",
    "[  123.456789] usb 1-1: since the boot",
    "0123456789 with a zero in front",
    "1795798862 bytes sent",
    "he said [27/Nov/2026:17:01:02 +0000]",
    "123456789 of nine digits",
    "17957988620 of eleven",
    '{"time":"yesterday"}',
    '{"time":"2026-11-27T17:01:02Z and more"}',
    '{"time":null,"ts":{}}',
    "{not JSON",
    "runtime=1795798862 is no time",
    "the certificate ends, date=2026-12-01T00:00:00Z",
    "2025-W53-1T17:01:02Z of a year with 52 weeks",
  ]) {
    test(JSON.stringify(line), () => assert.equal(readTime(line), undefined));
  }

  test("invalid UTF-8 before a time hides it, and after it has no effect", () => {
    assert.equal(readTime(Buffer.from([0xff, 0xfe, ...Buffer.from("2026-11-27T17:01:02Z")])), undefined);
    assert.equal(readTime(Buffer.from([...Buffer.from("2026-11-27T17:01:02Z "), 0xff, 0xfe])), at);
  });
});

describe("a custom format", () => {
  for (const [format, line] of [
    ["%d.%m.%Y %H:%M:%S", "27.11.2026 17:01:02 auf Deutsch"],
    ["%d.%m.%y %T", "27.11.26 17:01:02"],
    ["%m/%d/%Y %I:%M:%S %p", "11/27/2026 5:01:02 PM x"],
    ["[%d %b %Y, %H:%M:%S %z]", "x [27 Nov 2026, 18:01:02 +0100]"],
    ["at %F %T", "it happened at 2026-11-27 17:01:02"],
    ["%d.%m.%Y %T", "27.11.2026 09:01:02 -0800 with an offset that the format does not name"],
    ["t=%s", "x t=1795798862 y"],
    ["%B %e %T", "November 27 17:01:02"],
  ] as const) {
    test(`${format}: ${line}`, () => assert.equal(readTime(line, { format: timePattern(format) }), at));
  }

  test("is the only one parsed, and must be valid", () => {
    for (const line of [
      "2026-11-27 17:01:02",
      "127.11.2026 17:01:02",
      "27.11.2026 17:01:023",
      "27.11.2026 17:01:02 IST",
    ]) {
      assert.equal(readTime(line, { format: timePattern("%d.%m.%Y %T") }), undefined, line);
    }
    for (const bad of ["%Q", "%Y-%m-%d", "nothing", "%d %d %m %H", "%"]) {
      assert.throws(() => timePattern(bad), RangeError, bad);
    }
  });
});
