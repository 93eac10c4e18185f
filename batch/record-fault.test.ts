import assert from "node:assert/strict";
import { test } from "node:test";
import { rejectedBytes, scan } from "./scan.ts";
import {
  attribute,
  bytesField,
  encodeBatch,
  encodeRecord,
  type Text,
  tag,
  varintField,
} from "./testing/wire.ts";

test("rejects a single record, naming field, problem and limit", async (t) => {
  const cases: [title: string, record: Uint8Array, reason: string][] = [
    ["severity 25", encodeRecord({ severity: 25 }), "severity is 25, it must be from 0 to 24"],
    ["severity -1", encodeRecord({ severity: -1 }), "severity is -1, it must be from 0 to 24"],
    [
      "severity 2^31",
      encodeRecord({ severity: 2n ** 31n }),
      "severity is -2147483648, it must be from 0 to 24",
    ],
    [
      "a long logger",
      encodeRecord({ logger: "l".repeat(257) }),
      "logger is 257 bytes long, the limit is 256",
    ],
    [
      "a trace id of 15 bytes",
      encodeRecord({ traceId: Buffer.alloc(15, 1) }),
      "trace_id is 15 bytes long, expected 16, or none",
    ],
    [
      "a trace id of 17 zeros",
      encodeRecord({ traceId: Buffer.alloc(17) }),
      "trace_id is 17 bytes long, expected 16, or none",
    ],
    [
      "a long name of an event",
      encodeRecord({ eventName: "e".repeat(257) }),
      "event_name is 257 bytes long, the limit is 256",
    ],
    [
      "a long message",
      encodeRecord({ message: "m".repeat(65_537) }),
      "message is 65537 bytes long, the limit is 65536",
    ],
    [
      "bytes, not characters",
      encodeRecord({ logger: "ü".repeat(129) }),
      "logger is 258 bytes long, the limit is 256",
    ],
    [
      "NUL in the logger",
      encodeRecord({ logger: "a\0" }),
      "logger has a NUL at byte 1, which PostgreSQL cannot store",
    ],
    [
      "NUL in a message",
      encodeRecord({ message: "\0" }),
      "message has a NUL at byte 0, which PostgreSQL cannot store",
    ],
    [
      "NUL late in a message",
      encodeRecord({ message: `${"ü".repeat(99)}\0` }),
      "message has a NUL at byte 198, which PostgreSQL cannot store",
    ],
    ["no UTF-8", encodeRecord({ message: Buffer.from([0x61, 0xff]) }), "message is not UTF-8 at byte 1"],
    [
      "a surrogate (CESU-8)",
      encodeRecord({ message: Buffer.from("eda080edb080", "hex") }),
      "message is not UTF-8 at byte 0",
    ],
    [
      "an overlong slash",
      encodeRecord({ message: Buffer.from("2fc0af", "hex") }),
      "message is not UTF-8 at byte 1",
    ],
    [
      "an overlong NUL",
      encodeRecord({ message: Buffer.from("c080", "hex") }),
      "message is not UTF-8 at byte 0",
    ],
    [
      "beyond U+10FFFF",
      encodeRecord({ message: Buffer.from("f4908080", "hex") }),
      "message is not UTF-8 at byte 0",
    ],
    [
      "a character cut off in the middle of a text",
      encodeRecord({ logger: Buffer.from("61e28261", "hex") }),
      "logger is not UTF-8 at byte 1",
    ],
    [
      "a character cut off in a name",
      withAttribute(Buffer.from("61e282", "hex"), ""),
      "attributes[0].key is not UTF-8 at byte 1",
    ],
    [
      "65 attributes",
      encodeRecord({ attributes: attributeList(65) }),
      "attributes has 65 entries, the limit is 64",
    ],
    [
      "one name 65 times",
      Buffer.concat(Array.from({ length: 65 }, () => attribute("a", "b"))),
      "attributes has 65 entries, the limit is 64",
    ],
    ["no name", withAttribute("", "x"), "attributes[0] has no name"],
    ["an empty entry", bytesField(5, ""), "attributes[0] has no name"],
    [
      "a long name",
      withAttribute("k".repeat(129), ""),
      "attributes[0].key is 129 bytes long, the limit is 128",
    ],
    [
      "NUL in a name",
      withAttribute("k\0", ""),
      "attributes[0].key has a NUL at byte 1, which PostgreSQL cannot store",
    ],
    [
      "a long value",
      withAttribute("k", "v".repeat(8193)),
      'attributes["k"] is 8193 bytes long, the limit is 8192',
    ],
    [
      "NUL in a value",
      withAttribute("k", "a\0"),
      'attributes["k"] has a NUL at byte 1, which PostgreSQL cannot store',
    ],
    [
      "no UTF-8 in a value that is given again",
      Buffer.concat([attribute("k", Buffer.from([0xff])), attribute("k", "v")]),
      'attributes["k"] is not UTF-8 at byte 0',
    ],
  ];
  for (const [title, record, reason] of cases) {
    await t.test(title, () => {
      const good = encodeRecord({ message: "good" });
      const batch = scan(encodeBatch({ records: [good, record, good] }));
      assert.equal(batch.recordCount, 3);
      assert.equal(batch.acceptedCount, 2);
      const [rejection, ...others] = batch.rejections;
      assert.deepEqual([rejection!.index, rejection!.reason, others.length], [1, reason, 0]);
      assert.deepEqual(rejectedBytes(batch, rejection!), Buffer.from(record));
    });
  }
});

test("accepts what is just within the limits of a record", async (t) => {
  const cases: [title: string, record: Uint8Array][] = [
    ["nothing at all", Buffer.alloc(0)],
    ["severity 24", encodeRecord({ severity: 24 })],
    ["severity 2^32 + 9, which is 9 to an int32", encodeRecord({ severity: 2n ** 32n + 9n })],
    ["a logger of 256 bytes", encodeRecord({ logger: "l".repeat(256) })],
    [
      "ids that are no UTF-8",
      encodeRecord({ traceId: Buffer.alloc(16, 0xff), spanId: Buffer.from("\0".repeat(7) + "x") }),
    ],
    ["ids of nothing but zeros", encodeRecord({ traceId: Buffer.alloc(16), spanId: Buffer.alloc(8) })],
    ["an event's name of 256 bytes", encodeRecord({ eventName: "e".repeat(256) })],
    ["a message of 64 KiB", encodeRecord({ message: "ü".repeat(32_768) })],
    ["U+10FFFF", encodeRecord({ message: "\u{10ffff}" })],
    ["64 attributes", encodeRecord({ attributes: attributeList(64) })],
    [
      "a name of 128 bytes, a value of 8 KiB",
      encodeRecord({ attributes: [["k".repeat(128), "v".repeat(8192)]] }),
    ],
    ["a name without a value", bytesField(5, bytesField(1, "k"))],
    ["a bad message followed by a good one", Buffer.concat([bytesField(4, "\0"), bytesField(4, "good")])],
    [
      "unknown fields and groups",
      Buffer.concat([
        varintField(19, -1n),
        bytesField(99, "x"),
        tag(17, 3),
        tag(8, 3),
        tag(8, 4),
        tag(17, 4),
      ]),
    ],
  ];
  for (const [title, record] of cases) {
    await t.test(title, () => {
      const batch = scan(encodeBatch({ records: [record] }));
      assert.deepEqual(batch.rejections, []);
      assert.equal(batch.acceptedCount, 1);
    });
  }
});

function withAttribute(key: Text, value: Text): Buffer {
  return encodeRecord({ attributes: [[key, value]] });
}

function attributeList(count: number): [string, string][] {
  return Array.from({ length: count }, (_, n) => [`a${n}`, ""]);
}
