import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readSyslogMessage } from "./syslog-message.ts";

const context = { zone: 60, nowMs: Date.parse("2026-01-02T00:00:00Z") };

function read(text: string | Buffer) {
  const { hostname, record } = readSyslogMessage(Buffer.from(text), context);
  const { message, timeUnixNano, attributes, ...fields } = record;
  const time =
    timeUnixNano === undefined ? undefined : new Date(Number(timeUnixNano / 1_000_000n)).toISOString();
  return { hostname, time, message: Buffer.from(message as Buffer).toString(), attributes, ...fields };
}

describe("RFC 5424", () => {
  test("every part has its place", () => {
    const text =
      '<165>1 2025-11-27T17:01:02.003Z pump-7.example.org evntslog 8710 ID47 [ex@32473 iut="3" s="a \\"b\\" \\] \\\\"][x y="ü"] \ufeffgrün';
    assert.deepEqual(read(text), {
      hostname: "pump-7.example.org",
      time: "2025-11-27T17:01:02.003Z",
      severity: 10,
      severityText: "notice",
      logger: "evntslog",
      eventName: "ID47",
      message: "grün",
      attributes: {
        facility: "local4",
        process_id: 8710,
        "ex@32473.iut": "3",
        "ex@32473.s": 'a "b" ] \\',
        "x.y": "ü",
      },
    });
  });

  test("every part but the priority may be absent", () => {
    assert.deepEqual(read("<34>1 - - - - - -"), {
      hostname: undefined,
      time: undefined,
      severity: 18,
      severityText: "crit",
      message: "",
      attributes: { facility: "auth" },
    });
  });

  test("the space that rsyslog leaves before a text is none of it", () => {
    assert.equal(read("<34>1 - - - - - -  text").message, "text");
  });

  test("what is malformed is text", () => {
    for (const rest of [
      '1 - h a p m [x y="z" text',
      "1 - h a p m",
      "1 noon h a p m - text",
      "1 - h a p m [=] text",
    ])
      assert.equal(read(`<34>${rest}`).message, rest);
  });
});

describe("RFC 3164", () => {
  for (const [text, expected] of [
    [
      "<34>Oct 11 22:14:15 mymachine su[231]: 'su root' failed",
      { hostname: "mymachine", time: "2025-10-11T21:14:15.000Z", logger: "su", message: "'su root' failed" },
    ],
    ["<13>Jan  1 00:00:00 h t: x", { hostname: "h", time: "2025-12-31T23:00:00.000Z", logger: "t" }],
    ["<13>Jan  3 12:00:00 h t: of last year", { time: "2025-01-03T11:00:00.000Z" }],
    ["<13>Jan  2 10:00:00 h t: a clock ahead", { time: "2026-01-02T09:00:00.000Z" }],
    [
      "<13>2025-11-27T17:01:02.5+01:00 h t[1]: x",
      { hostname: "h", time: "2025-11-27T16:01:02.500Z", message: "x" },
    ],
    ["<13>Nov 27 2025 17:01:02 h t: x", { hostname: "h", time: "2025-11-27T16:01:02.000Z" }],
    [
      "<13>Nov 27 17:01:02 t[5]: without a host",
      { hostname: undefined, logger: "t", message: "without a host" },
    ],
    ["<13>Nov 27 17:01:02 fe80::1 t: x", { hostname: "fe80::1", logger: "t" }],
    [
      "<14>app.db: Python's SysLogHandler\0",
      { hostname: undefined, logger: "app.db", message: "Python's SysLogHandler" },
    ],
    ["<14>just text, no tag", { hostname: undefined, logger: undefined, message: "just text, no tag" }],
    ["no priority", { severity: 10, message: "no priority" }],
    ["<192>too high", { severity: 10, message: "<192>too high" }],
    ["<189>29: *Mar 1 18:48:50.483 UTC: %SYS-5-CONFIG_I: x", { severity: 10 }],
    ["", { message: "" }],
  ] as const) {
    test(JSON.stringify(text), () => {
      const found: Readonly<Record<string, unknown>> = read(text);
      for (const [name, value] of Object.entries(expected)) assert.equal(found[name], value, name);
    });
  }
});

test("each of the eight severities is one of OpenTelemetry's", () => {
  const numbers = [0, 1, 2, 3, 4, 5, 6, 7].map((code) => read(`<${8 + code}>x`).severity);
  assert.deepEqual(numbers, [21, 19, 18, 17, 13, 10, 9, 5]);
});

test("bytes that are not UTF-8 are kept for the server to judge", () => {
  const bytes = Buffer.from([0x3c, 0x31, 0x34, 0x3e, 0xff, 0xfe]);
  const { record } = readSyslogMessage(bytes, context);
  assert.deepEqual(record.message, Buffer.from([0xff, 0xfe]));
});
