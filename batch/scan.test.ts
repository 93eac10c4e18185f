import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidBatchError } from "./invalid-batch.ts";
import { limits } from "./limits.ts";
import { scan } from "./scan.ts";
import { storedTimeRange } from "./stored-time-range.ts";
import {
  bytesField,
  encodeBatch,
  encodeRecord,
  fixed64Field,
  tag,
  varint,
  varintField,
} from "./testing/wire.ts";

test("says who sent the batch, and as which one", () => {
  const batch = scan(encodeBatch({ deviceId: "A.z_0:9-", sessionId: "b-1", sequence: 2n ** 63n - 2n }));
  assert.equal(batch.deviceId, "A.z_0:9-");
  assert.equal(batch.sessionId, "b-1");
  assert.equal(batch.sequence, 2n ** 63n - 2n);
});

test("takes a batch of a sender without state", () => {
  const batch = scan(
    Buffer.concat([bytesField(1, "script"), bytesField(4, encodeRecord({ message: "hello" }))]),
  );
  assert.deepEqual([batch.sessionId, batch.sequence], ["", 0n]);
});

test("sums up the accepted records", () => {
  const batch = scan(
    encodeBatch({
      records: [
        encodeRecord({ timeUnixNano: 5_000_999n, severity: 9 }),
        encodeRecord({ timeUnixNano: 2n ** 64n - 1n, severity: 17 }),
        encodeRecord({ severity: 24 }),
        encodeRecord({ timeUnixNano: 1n, severity: 99 }),
        encodeRecord({ timeUnixNano: 4_000_001n, severity: 16 }),
      ],
    }),
  );
  assert.equal(batch.recordCount, 5);
  assert.equal(batch.acceptedCount, 4);
  assert.equal(batch.firstTimeMicros, 4_000n);
  assert.equal(batch.lastTimeMicros, (2n ** 64n - 1n) / 1000n);
  assert.equal(batch.untimedCount, 1);
  assert.equal(batch.severities, (1 << 9) | (1 << 16) | (1 << 17) | (1 << 24));
  assert.equal(batch.errorCount, 2);
});

test("gives the range of stored times: received_at where a record has no time", () => {
  const untimed = encodeRecord({});
  assert.deepEqual(rangeOf(timed(10n), timed(20n)), [10n, 20n]);
  assert.deepEqual(rangeOf(timed(10n), untimed), [10n, 50n]);
  assert.deepEqual(rangeOf(timed(90n), untimed), [50n, 90n]);
  assert.deepEqual(rangeOf(untimed), [50n, 50n]);
  assert.deepEqual(rangeOf(encodeRecord({ timeUnixNano: 7000n, severity: 99 })), [50n, 50n]);
});

test("refuses a batch as a whole, naming the field and the limit", async (t) => {
  const good = bytesField(4, encodeRecord({ message: "hello" }));
  const deviceId = bytesField(1, "host-1");
  const cases: [title: string, bytes: Uint8Array, field: string, message: RegExp][] = [
    ["nothing", Buffer.alloc(0), "batch.device_id", /missing/],
    ["no device", good, "batch.device_id", /1 to 128 characters/],
    ["a space in the device", encodeBatch({ deviceId: "host 1" }), "batch.device_id", /"host 1": only A-Z/],
    ["an umlaut in the device", encodeBatch({ deviceId: "gerät" }), "batch.device_id", /"gerät": only/],
    ["a newline after the device", encodeBatch({ deviceId: "host\n" }), "batch.device_id", /"host\\u\{a\}"/],
    ["no text as the device", encodeBatch({ deviceId: Buffer.from([0xff, 0]) }), "batch.device_id", /only/],
    ["a server's name as the session", encodeBatch({ sessionId: "~1" }), "batch.session_id", /only/],
    ["a long device", encodeBatch({ deviceId: "d".repeat(129) }), "batch.device_id", /d{40}"…, 129 .* 128/],
    ["a long session", encodeBatch({ sessionId: "s".repeat(65) }), "batch.session_id", /65 .* 64/],
    ["a session without sequence", encodeBatch({ sequence: 0n }), "batch.sequence", /"boot-1" .* from 1/],
    ["a sequence without session", encodeBatch({ sessionId: "" }), "batch.session_id", /sequence 1 /],
    [
      "sequence 2^63 - 1",
      encodeBatch({ sequence: 2n ** 63n - 1n }),
      "batch.sequence",
      /is 9223372036854775807/,
    ],
    [
      "sequence 2^64 - 1",
      encodeBatch({ sequence: 2n ** 64n - 1n }),
      "batch.sequence",
      /limit is 9223372036854775806/,
    ],
    ["no records", encodeBatch({ records: [] }), "batch.records", /1 to 10000/],
    [
      "10,001 records",
      encodeBatch({ records: Array.from({ length: 10_001 }, () => Buffer.alloc(0)) }),
      "batch.records",
      /10000/,
    ],
    ["1 MiB + 1", batchOfSize(limits.batchBytesMax + 1), "batch", /1048577 bytes, the limit is 1048576/],
    ["a batch cut off", encodeBatch().subarray(0, -1), "batch", /a length of \d+, but only \d+ bytes remain/],
    [
      "a length of 2^31",
      Buffer.concat([deviceId, tag(4, 2), varint(2n ** 31n)]),
      "batch",
      /a length of 2147483648/,
    ],
    ["a length of 2^64 - 1", Buffer.concat([deviceId, tag(4, 2), varint(-1n)]), "batch", /a length of/],
    [
      "a varint of 11 bytes",
      Buffer.concat([deviceId, tag(3, 0), Buffer.alloc(10, 0x80), Buffer.alloc(1)]),
      "batch",
      /10 bytes/,
    ],
    [
      "a varint without end",
      Buffer.concat([deviceId, tag(3, 0), Buffer.alloc(5, 0x80)]),
      "batch",
      /a truncated value/,
    ],
    ["a tag of 33 bits", Buffer.concat([varint(2n ** 32n), good]), "batch", /32 bits/],
    ["a tag of 6 bytes", Buffer.from([0xa0, 0x80, 0x80, 0x80, 0x80, 0x00]), "batch", /32 bits/],
    ["field number 0", Buffer.concat([Buffer.from([0x02, 0x00]), good]), "batch", /field number 0/],
    [
      "field number 0 in two bytes",
      Buffer.concat([Buffer.from([0x82, 0x00]), good]),
      "batch",
      /field number 0/,
    ],
    ["wire type 6", Buffer.concat([deviceId, tag(9, 6), good]), "batch", /wire type 6/],
    ["a number as the device", Buffer.concat([varintField(1, 5), good]), "batch", /field 1 with wire type 0/],
    [
      "records as a group",
      Buffer.concat([deviceId, tag(4, 3), tag(4, 4)]),
      "batch",
      /field 4 with wire type 3/,
    ],
    [
      "a group that ends as another",
      Buffer.concat([deviceId, tag(9, 3), tag(8, 4)]),
      "batch",
      /unmatched end/,
    ],
    ["a group without beginning", Buffer.concat([deviceId, tag(9, 4)]), "batch", /wire type 4/],
    ["a group without end", Buffer.concat([deviceId, tag(9, 3)]), "batch", /a truncated value/],
    ["100,000 groups in each other", Buffer.alloc(100_000, tag(9, 3)), "batch", /too deeply/],
    [
      "a number as the message",
      encodeBatch({ records: [varintField(4, 1)] }),
      "batch",
      /field 4 with wire type 0/,
    ],
    [
      "a time of 7 bytes",
      encodeBatch({ records: [fixed64Field(1, 1n).subarray(0, -1)] }),
      "batch",
      /a truncated value/,
    ],
    [
      "a message beyond its record",
      Buffer.concat([deviceId, tag(4, 2), varint(2), bytesField(4, "hello")]),
      "batch",
      /a length of 5, but only 0 bytes remain/,
    ],
    [
      "a name beyond its attribute",
      encodeBatch({ records: [Buffer.concat([tag(5, 2), varint(3), bytesField(1, "name")])] }),
      "batch",
      /a length of 4, but only 1 bytes remain/,
    ],
  ];
  for (const [title, bytes, field, message] of cases) {
    await t.test(title, () => {
      assert.throws(
        () => scan(bytes),
        (error: unknown) => {
          assert.ok(error instanceof InvalidBatchError, String(error));
          assert.equal(error.field, field);
          assert.match(error.message, message);
          assert.ok(error.message.startsWith(`${field} `) && error.message.length < 250, error.message);
          return true;
        },
      );
    });
  }
});

test("takes what is just within the limits of a batch", () => {
  assert.equal(scan(encodeBatch({ deviceId: "d".repeat(128), sessionId: "s".repeat(64) })).acceptedCount, 1);
  const records = Array.from({ length: 10_000 }, () => Buffer.alloc(0));
  assert.equal(scan(encodeBatch({ records })).acceptedCount, 10_000);
  assert.equal(scan(batchOfSize(limits.batchBytesMax)).acceptedCount, 17);
});

test("lets the last of a repeated field count", () => {
  const batch = scan(
    Buffer.concat([encodeBatch({ deviceId: "first one" }), bytesField(1, "last"), varintField(3, 7)]),
  );
  assert.deepEqual([batch.deviceId, batch.sequence], ["last", 7n]);
});

function timed(micros: bigint): Buffer {
  return encodeRecord({ timeUnixNano: micros * 1000n });
}

function rangeOf(...records: Buffer[]): [bigint, bigint] {
  const { firstMicros, lastMicros } = storedTimeRange(scan(encodeBatch({ records })), {
    receivedAtMicros: 50,
  });
  return [firstMicros, lastMicros];
}

/** A good batch of exactly `size` bytes: 16 messages of 64,000 bytes and one that fills up. */
function batchOfSize(size: number): Buffer {
  const records = Array.from({ length: 16 }, () => encodeRecord({ message: "m".repeat(64_000) }));
  const without = encodeBatch({ records });
  const fill = size - without.length - 8; // Two tags and two lengths of three bytes each.
  const batch = encodeBatch({ records: [...records, encodeRecord({ message: "f".repeat(fill) })] });
  assert.equal(batch.length, size);
  return batch;
}
