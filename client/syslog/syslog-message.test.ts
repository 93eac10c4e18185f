import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { limits } from "#batch/limits.ts";
import { readSyslogMessage } from "./syslog-message.ts";

const context = { zone: 60, nowMs: Date.parse("2026-01-02T00:00:00Z") };

function read(text: string | Buffer) {
  const { hostname, record } = readSyslogMessage(Buffer.from(text), context);
  const { message, timeUnixNano, attributes, ...fields } = record;
  const time =
    timeUnixNano === undefined ? undefined : new Date(Number(timeUnixNano / 1_000_000n)).toISOString();
  return { hostname, time, message, attributes, ...fields };
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

  test("a header that is malformed is text", () => {
    for (const rest of ["1 - h a p m", "1 noon h a p m - text", "1 of the five disks is full"])
      assert.equal(read(`<34>${rest}`).message, rest);
  });

  for (const data of ['[x y="z" text', "[=] text", "[] text", '[x y="z"]text', "[x y=z] text"]) {
    test(`structured data that is malformed is text: ${data}`, () => {
      const { hostname, logger, message } = read(`<34>1 - h a p m ${data}`);
      assert.deepEqual({ hostname, logger, message }, { hostname: "h", logger: "a", message: data });
    });
  }

  test("only quotes, brackets and backslashes are escaped in structured data", () => {
    const { attributes } = read(String.raw`<34>1 - h a p m [x y="\"\]\\" z="C:\new ]"] text`);
    assert.equal(attributes?.["x.y"], '"]\\');
    assert.equal(attributes?.["x.z"], "C:\\new ]");
  });

  test("a leap second is the first second of the next minute", () => {
    assert.equal(read("<34>1 2016-12-31T23:59:60.5Z h a p m - x").time, "2017-01-01T00:00:00.500Z");
  });

  test("a time that does not exist is an attribute", () => {
    for (const timestamp of ["2026-02-30T00:00:00Z", "1899-12-31T00:00:00Z", "2026-01-01T25:00:00Z"]) {
      const { hostname, time, attributes } = read(`<34>1 ${timestamp} h a p m - x`);
      assert.deepEqual([hostname, time, attributes?.["timestamp"]], ["h", undefined, timestamp]);
    }
  });
});

describe("what attributes cannot hold stays before the text, beside what they can", () => {
  const many = Array.from({ length: 70 }, (_, index) => `n${index}="v"`).join(" ");
  for (const [what, data, held] of [
    ["a name of 129 bytes", `[i ok="1"][${"i".repeat(64)} ${"n".repeat(64)}="v"]`, "i.ok"],
    ["a value of 8,193 bytes", `[i ok="1" n="${"v".repeat(8_193)}"]`, "i.ok"],
    ["the second of two equal names", '[i ip="1" ip="2"]', "i.ip"],
    ["more than a record may have", `[i ok="1" ${many}]`, "i.ok"],
  ] as const) {
    test(what, () => {
      const { message, attributes } = read(`<34>1 - h a 7 m ${data} text`);
      assert.equal(message, `${data} text`);
      assert.equal(attributes?.[held], "1");
      assert.equal(attributes?.["process_id"], 7);
      assert.ok(!("is_text_repaired" in attributes));
    });
  }
});

const latin1 = (text: string) => Buffer.from(text, "latin1");

describe("a text that no record can hold is repaired, and marked", () => {
  for (const [what, bytes, expected] of [
    ["Latin-1", latin1('<34>1 - h grün p m [x y="ä"] größer'), { logger: "grün", message: "größer" }],
    ["Windows-1252", Buffer.concat([latin1("<34>t: 5 "), Buffer.from([0x80])]), { message: "5 €" }],
    ["Latin-1 in RFC 3164", latin1("<34>Oct 11 22:14:15 h t: größer"), { hostname: "h", message: "größer" }],
    [
      "UTF-8 with another byte",
      Buffer.concat([Buffer.from("<34>ü"), Buffer.from([0xff])]),
      { message: "ü\ufffd" },
    ],
    ["NUL", Buffer.from("<34>a\0b"), { message: "a\ufffdb" }],
    ["a long app name", Buffer.from(`<34>1 - h ${"ü".repeat(150)} p m - x`), { logger: "ü".repeat(128) }],
    [
      "a long message id",
      Buffer.from(`<34>1 - h a p ${"m".repeat(300)} - x`),
      { eventName: "m".repeat(256) },
    ],
    ["NUL by NUL", Buffer.from(`<34>${"\0".repeat(65_000)}x`), { message: "\ufffd".repeat(21_845) }],
  ] as const) {
    test(what, () => {
      const found: Readonly<Record<string, unknown>> = read(bytes);
      for (const [name, value] of Object.entries(expected)) assert.equal(found[name], value, name);
      assert.equal((found["attributes"] as Record<string, unknown>)["is_text_repaired"], true);
    });
  }
});

test("any bytes become a record that the server accepts", () => {
  const part = fc.oneof(
    fc.constantFrom(
      "<",
      "34>",
      "1 ",
      "- ",
      "[",
      "] ",
      '"',
      "\\",
      "=",
      "\0",
      "ü",
      "\n",
      "Oct 11 22:14:15 ",
      "h ",
      "a: ",
    ),
    fc.constantFrom("v".repeat(9_000), "n".repeat(130), '[x y="z"]', " 2026-02-30T00:00:00Z "),
    fc.uint8Array({ maxLength: 20 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      const bytes = Buffer.concat(parts.map((each) => Buffer.from(each as string)));
      const { record } = readSyslogMessage(bytes.subarray(0, limits.messageBytesMax), context);
      const sizes: [number, number][] = [
        [Buffer.byteLength(record.message), limits.messageBytesMax],
        [Buffer.byteLength(record.logger ?? ""), limits.loggerBytesMax],
        [Buffer.byteLength(record.eventName ?? ""), limits.eventNameBytesMax],
        [Object.keys(record.attributes ?? {}).length, limits.attributesMax - 3],
      ];
      for (const [key, value] of Object.entries(record.attributes ?? {})) {
        sizes.push([Buffer.byteLength(key), limits.attributeKeyBytesMax]);
        sizes.push([Buffer.byteLength(String(value)), limits.attributeValueBytesMax]);
      }
      for (const [size, max] of sizes) assert.ok(size <= max, `${size} is above ${max}`);
      const texts = [
        record.message,
        record.logger,
        record.eventName,
        ...Object.entries(record.attributes ?? {}),
      ];
      assert.ok(texts.every((text) => text === undefined || !String(text).includes("\0")));
    }),
  );
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
    ["<13>Feb 29 12:00:00 h t: a leap day", { time: "2024-02-29T11:00:00.000Z" }],
    ["<192>too high", { severity: 10, message: "<192>too high" }],
    ["<1000>too long", { severity: 10, message: "<1000>too long" }],
    ["<>none", { severity: 10, message: "<>none" }],
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
