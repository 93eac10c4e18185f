import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { limits } from "#batch/limits.ts";
import { varint } from "#batch/testing/wire.ts";
import { otlpLimits } from "./limits.ts";
import { plainAttributes, transcode, transcodeRecord } from "./testing/decode.ts";
import { encodeOtlp, type OtlpRecord, type OtlpResourceLogs, type OtlpValue } from "./testing/otlp.ts";
import { Transcoder } from "./transcode.ts";

const text = (stringValue: string): OtlpValue => ({ stringValue });
const named = (host: string, ...logRecords: OtlpRecord[]): OtlpResourceLogs => ({
  resource: { attributes: [{ key: "host.name", value: text(host) }] },
  scopeLogs: [{ logRecords }],
});

describe("a record", () => {
  test("keeps its times, severity, texts, ids, and attributes with their types", () => {
    const record = transcodeRecord({
      timeUnixNano: "1700000000123456789",
      observedTimeUnixNano: "1700000000999999999",
      severityNumber: 17,
      severityText: "error",
      body: text("it broke"),
      eventName: "device.crash",
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId: "b7ad6b7169203331",
      flags: 1,
      droppedAttributesCount: 3,
      attributes: [
        { key: "text", value: text("ü") },
        { key: "yes", value: { boolValue: true } },
        { key: "least", value: { intValue: -(2n ** 63n) } },
        { key: "most", value: { intValue: 2n ** 63n - 1n } },
        { key: "share", value: { doubleValue: 0.5 } },
        { key: "bytes", value: { bytesValue: "aGk=" } },
        { key: "list", value: { arrayValue: { values: [text('"\n\u0001'), { intValue: 5 }, {}] } } },
        {
          key: "map",
          value: { kvlistValue: { values: [{ key: "a", value: { doubleValue: Number.NaN } }] } },
        },
        { key: "null", value: {} },
        { key: "none" },
      ],
    });
    assert.equal(record.timeUnixNano, 1700000000123456789n);
    assert.equal(record.observedTimeUnixNano, 1700000000999999999n);
    assert.deepEqual([record.severity, record.severityText], [17, "error"]);
    assert.deepEqual([record.message, record.eventName], ["it broke", "device.crash"]);
    assert.equal(Buffer.from(record.traceId).toString("hex"), "0af7651916cd43dd8448eb211c80319c");
    assert.equal(Buffer.from(record.spanId).toString("hex"), "b7ad6b7169203331");
    assert.deepEqual(plainAttributes(record.attributes), {
      text: "ü",
      yes: true,
      least: -(2n ** 63n),
      most: 2n ** 63n - 1n,
      share: 0.5,
      bytes: "aGk=",
      list: '["\\"\\n\\u0001",5,null]',
      map: '{"a":"NaN"}',
      null: null,
      none: null,
      "otel.trace_flags": 1n,
      "otel.dropped_attributes_count": 3n,
    });
  });

  test("has as message a text as it is, bytes as base64, and anything else as JSON", () => {
    const messages: [OtlpValue, string][] = [
      [text("plain"), "plain"],
      [{ intValue: 2n ** 62n }, "4611686018427387904"],
      [{ doubleValue: -1.5 }, "-1.5"],
      [{ boolValue: false }, "false"],
      [{ bytesValue: "AAEC" }, "AAEC"],
      [{ arrayValue: { values: [] } }, "[]"],
      [{ kvlistValue: { values: [{ key: "k", value: { bytesValue: "AAEC" } }] } }, '{"k":"AAEC"}'],
      [{}, ""],
    ];
    for (const [body, message] of messages) assert.equal(transcodeRecord({ body }).message, message);
    assert.equal(transcodeRecord({}).message, "");
  });

  test("with an id of another length belongs to no trace, and keeps the id as an attribute", () => {
    const record = transcodeRecord({ traceId: "0102", spanId: "03" });
    assert.equal(record.traceId.length + record.spanId.length, 0);
    assert.deepEqual(plainAttributes(record.attributes), { "otel.trace_id": "0102", "otel.span_id": "03" });
  });

  test("that is nested too deeply or too large is rejected with its reason and the beginning of its text", () => {
    let deep: OtlpValue = { intValue: 1 };
    for (let depth = 0; depth < otlpLimits.depthMax; depth++) deep = { arrayValue: { values: [deep] } };
    assert.equal(transcodeRecord({ body: deep }).unreadable, undefined);
    for (const [record, reason] of [
      [{ body: { arrayValue: { values: [deep] } } }, /^body is nested more than 32 levels deep$/],
      [
        { attributes: [{ key: "a", value: { kvlistValue: { values: [{ key: "b", value: deep }] } } }] },
        /^attributes: the value of entry 0 is nested/,
      ],
      [
        { body: { arrayValue: { values: [text("x".repeat(70_000))] } } },
        /^body is more than 65536 bytes as JSON/,
      ],
      [{ body: text("x".repeat(2_000_000)) }, /^message is 2000000 bytes long, the limit is 65536$/],
      [
        { body: text("short"), attributes: [{ key: "k", value: text("x".repeat(2_000_000)) }] },
        /^record is more than 1048576 bytes, the limit is/,
      ],
    ] as const) {
      const { unreadable } = transcodeRecord({ ...record, severityText: "kept" });
      assert.match(unreadable?.reason ?? "", reason);
      assert.match(Buffer.from(unreadable!.json).toString(), /"severity_text":"kept"/);
      assert.ok(unreadable!.json.length <= limits.unreadableBytesMax);
    }
  });
});

describe("resource and scope", () => {
  test("become attributes of the batch, said once; the scope's name is the logger", () => {
    const [one, ...more] = transcode({
      resourceLogs: [
        {
          resource: {
            attributes: [
              { key: "host.name", value: text("pump-1") },
              { key: "process.pid", value: { intValue: 42 } },
            ],
            droppedAttributesCount: 2,
          },
          schemaUrl: "https://example.org/1",
          scopeLogs: [
            {
              scope: { name: "net.wifi", version: "1.2", attributes: [{ key: "tenant", value: text("a") }] },
              schemaUrl: "https://example.org/2",
              logRecords: [{ body: text("1") }, { body: text("2") }],
            },
          ],
        },
      ],
    });
    assert.deepEqual(more, []);
    assert.deepEqual([one!.batch.deviceId, one!.batch.sessionId, one!.batch.sequence], ["pump-1", "", 0n]);
    const keys = one!.batch.attributes.map(({ key }) => key);
    assert.deepEqual(keys, keys.toSorted());
    assert.deepEqual(plainAttributes(one!.batch.attributes), {
      "host.name": "pump-1",
      "process.pid": 42n,
      "otel.resource.dropped_attributes_count": 2n,
      "otel.resource.schema_url": "https://example.org/1",
      "otel.scope.version": "1.2",
      "otel.scope.tenant": "a",
      "otel.scope.schema_url": "https://example.org/2",
    });
    assert.deepEqual(
      one!.batch.records.map(({ logger, message }) => [logger, message]),
      [
        ["net.wifi", "1"],
        ["net.wifi", "2"],
      ],
    );
  });

  test("that are repeated become one batch, in which each record keeps its logger and its order", () => {
    const scope = (name: string, ...bodies: string[]) => ({
      scope: { name },
      logRecords: bodies.map((body) => ({ body: text(body) })),
    });
    const resource = { attributes: [{ key: "host.name", value: text("a") }] };
    const batches = transcode({
      resourceLogs: [
        { resource, scopeLogs: [scope("x", "1"), scope("y", "2")] },
        named("b", { body: text("3") }),
        { resource, scopeLogs: [scope("x", "4", "5")] },
      ],
    });
    assert.deepEqual(
      batches.map(({ batch }) => [
        batch.deviceId,
        batch.records.map(({ logger, message }) => logger + message),
      ]),
      [
        ["a", ["x1", "y2", "x4", "x5"]],
        ["b", ["3"]],
      ],
    );
    assert.deepEqual(
      batches.map(({ origins }) => origins),
      [
        [
          { first: 0, record: 0 },
          { first: 2, record: 3 },
        ],
        [{ first: 0, record: 2 }],
      ],
    );
  });

  test("of other versions are other batches", () => {
    const batches = transcode({
      resourceLogs: [
        { scopeLogs: ["1", "2"].map((version) => ({ scope: { name: "n", version }, logRecords: [{}] })) },
      ],
    });
    assert.deepEqual(
      batches.map(({ batch }) => plainAttributes(batch.attributes)),
      [{ "otel.scope.version": "1" }, { "otel.scope.version": "2" }],
    );
  });

  test("keep what a batch cannot have as it is: truncated, repaired or left out, and counted", () => {
    const [one] = transcode({
      resourceLogs: [
        {
          resource: {
            attributes: [
              { key: "process.command_line", value: text(`${"x".repeat(8_191)}é`) },
              { key: "nul", value: text("a\0b") },
              { key: "k".repeat(129), value: text("v") },
              { key: "", value: text("v") },
              ...Array.from({ length: 80 }, (_, index) => ({ key: `n${index}`, value: { intValue: index } })),
            ],
          },
          scopeLogs: [{ scope: { name: "s".repeat(300) }, logRecords: [{}] }],
        },
      ],
    });
    const attributes = plainAttributes(one!.batch.attributes);
    assert.equal(attributes["process.command_line"], "x".repeat(8_191));
    assert.equal(attributes["nul"], "a\ufffdb");
    assert.equal(one!.batch.records[0]!.logger, "");
    assert.equal(one!.batch.attributes.length, limits.attributesMax);
    assert.equal(attributes["otlp.changed_attributes"], BigInt(one!.changedAttributes));
  });
});

describe("the device", () => {
  const transcoder = new Transcoder(["service.instance.id", "host.name"]);
  const device = (...attributes: [string, OtlpValue][]) => {
    const resource = { attributes: attributes.map(([key, value]) => ({ key, value })) };
    return transcode({ resourceLogs: [{ resource, scopeLogs: [{ logRecords: [{}] }] }] }, transcoder)[0]!
      .batch.deviceId;
  };

  test("is the first of the configured attributes that the resource has", () => {
    assert.equal(device(["host.name", text("h")], ["service.instance.id", text("i")]), "i");
    assert.equal(device(["host.name", text("h")], ["service.instance.id", text("")]), "h");
    assert.equal(device(["host.name", { intValue: 7 }]), "7");
    assert.equal(device(["other", text("h")]), "otlp.unknown");
    assert.equal(
      transcode({ resourceLogs: [{ scopeLogs: [{ logRecords: [{}] }] }] })[0]!.batch.deviceId,
      "otlp.unknown",
    );
  });

  test("has _ for each character that a device id cannot have, and a hash at the end of a long one", () => {
    assert.equal(device(["host.name", text("Büro 1/\u{1f600}")]), "B_ro_1__");
    const [one, other] = ["a", "b"].map((end) => device(["host.name", text("x".repeat(200) + end)]));
    assert.equal(one!.length, limits.deviceIdBytesMax);
    assert.notEqual(one, other);
    assert.match(one!, /^x{111}\.[0-9a-f]{16}$/);
  });
});

describe("a request", () => {
  test("may be empty, or have no records", () => {
    for (const request of [{}, { resourceLogs: [{}] }, { resourceLogs: [{ scopeLogs: [{}] }] }])
      assert.deepEqual(transcode(request), []);
  });

  test("that is larger than a batch becomes several, each within its limits", () => {
    const records = Array.from({ length: 25_000 }, (_, index) => ({ body: text(`record ${index}`) }));
    const batches = transcode({ resourceLogs: [named("a", ...records)] });
    assert.deepEqual(
      batches.map(({ recordCount }) => recordCount),
      [10_000, 10_000, 5_000],
    );
    const large = Array.from({ length: 40 }, (_, index) => ({
      body: text(`${index} ${"x".repeat(60_000)}`),
    }));
    const parts = transcode({ resourceLogs: [named("a", ...large)] });
    assert.ok(parts.length >= 3 && parts.every(({ bytes }) => bytes.length <= limits.batchBytesMax));
    assert.deepEqual(
      parts.flatMap(({ batch }) => batch.records.map(({ message }) => Number(message.split(" ")[0]))),
      large.map((_, index) => index),
    );
  });

  test("has batches that only a retry can equal, if each record has a time or a log.record.uid", () => {
    const uid = { attributes: [{ key: "log.record.uid", value: text("01J") }] };
    assert.equal(unique({ timeUnixNano: "1" }, { observedTimeUnixNano: "1" }, uid), true);
    assert.equal(unique({ timeUnixNano: "1" }, {}), false);
    assert.equal(unique({ attributes: [{ key: "log.record.uid", value: text("") }] }), false);
  });

  test("that is no protobuf, or more than the limits allow, is refused before its records are read", () => {
    for (const [request, reason] of [
      [Buffer.from([0x0a, 0x05, 1]), /not a protobuf ExportLogsServiceRequest/],
      [Buffer.from([0x08, 0x05]), /field 1 with wire type 0/],
      [Buffer.alloc(2_000_000, Buffer.from([0x0a, 0])), /more than 40000 resources and scopes/],
      [
        message(0x0a, message(0x12, Buffer.alloc(2_000_000, Buffer.from([0x12, 0])))),
        /more than 100000 records/,
      ],
      [Buffer.alloc(otlpLimits.requestBytesMax + 1), /the limit is 16777216/],
    ] as const) {
      assert.throws(() => transcode(request), { name: InvalidBatchError.name, message: reason });
    }
  });

  test("cannot become many times its size by one resource that many batches repeat", () => {
    const resource = {
      attributes: Array.from({ length: 50 }, (_, index) => ({
        key: `k${index}`,
        value: text("x".repeat(8_000)),
      })),
    };
    const scopeLogs = Array.from({ length: 1_000 }, (_, index) => ({
      scope: { version: String(index) },
      logRecords: [{}],
    }));
    assert.throws(
      () => transcode(encodeOtlp({ resourceLogs: [{ resource, scopeLogs }] })),
      /becomes more than/,
    );
  });

  test("has each resource read once, however many scopes repeat it", () => {
    const nameless = Buffer.alloc(400_000, Buffer.from([0x0a, 0]));
    const request = (scopes: number) => {
      const versions = Array.from({ length: scopes }, (_, index) => Buffer.from(String(index)));
      const scopeLogs = versions.map((version) =>
        message(0x12, Buffer.concat([message(0x0a, message(0x12, version)), message(0x12, Buffer.alloc(0))])),
      );
      return message(0x0a, Buffer.concat([message(0x0a, nameless), ...scopeLogs]));
    };
    cpuOf(request(4)); // compiled by then
    assert.ok(cpuOf(request(200)) < 20 * cpuOf(request(4)));
  });

  test("is refused for more attributes of resources and scopes than the limit, however they are spread", () => {
    const nameless = Buffer.alloc(800_000, Buffer.from([0x0a, 0]));
    const scopeLogs = ["1", "2", "3"].map((version) => {
      const attributes = Buffer.alloc(800_000, Buffer.from([0x1a, 0]));
      const scope = Buffer.concat([message(0x12, Buffer.from(version)), attributes]);
      return message(0x12, Buffer.concat([message(0x0a, scope), message(0x12, Buffer.alloc(0))]));
    });
    const resource = message(0x0a, nameless);
    const request = (...scopes: readonly Buffer[]) => message(0x0a, Buffer.concat([resource, ...scopes]));
    assert.equal(transcode(request(scopeLogs[0]!)).length, 1);
    assert.throws(() => transcode(request(...scopeLogs)), /more than 1000000 attributes of resources/);
  });

  test("has resources that are absent and differ in their schema alone", () => {
    const batches = transcode({
      resourceLogs: ["one", "two"].map((schemaUrl) => ({ schemaUrl, scopeLogs: [{ logRecords: [{}] }] })),
    });
    assert.deepEqual(
      batches.map(({ batch }) => plainAttributes(batch.attributes)["otel.resource.schema_url"]),
      ["one", "two"],
    );
  });
});

function cpuOf(request: Buffer): number {
  const before = process.cpuUsage();
  transcode(request);
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** Whether only a retry can equal a batch of these records. */
function unique(...records: OtlpRecord[]): boolean | undefined {
  return transcode({ resourceLogs: [named("a", ...records)] })[0]?.isUnique;
}

function message(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), varint(content.length), content]);
}
