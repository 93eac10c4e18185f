import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { ListLogsRequestSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { binaryShapeFault, jsonShapeFault } from "./request-shape.ts";

const shapeOfJson = (json: string) => jsonShapeFault(Buffer.from(json))?.message;
const shapeOfBinary = (bytes: Uint8Array) => binaryShapeFault(ListLogsRequestSchema, bytes)?.message;
const fields = (count: number, ...field: number[]) => Buffer.from(times(count, "").flatMap(() => field));
const times = (count: number, text: string) => Array.from({ length: count }, () => text);

test("the largest request that makes sense passes, as JSON and as protobuf", () => {
  const attributes = times(8, '"]}\\,[{'.repeat(10)).map((name) => ({
    name,
    value: "é\u{1f680}\\".repeat(500),
  }));
  const request = create(ListLogsRequestSchema, {
    filter: {
      deviceIds: times(100, "d".repeat(128)),
      excludedDeviceIds: times(100, "e".repeat(128)),
      severities: Array.from({ length: 25 }, (_, severity) => severity as Severity),
      minSeverity: -1 as Severity,
      attributes,
      excludedAttributes: attributes,
      text: "[{".repeat(128),
    },
    startTime: { seconds: -62_135_596_800n, nanos: 1 },
    pageSize: 1000,
    explain: true,
  });
  assert.equal(shapeOfBinary(toBinary(ListLogsRequestSchema, request)), undefined);
  assert.equal(shapeOfJson(toJsonString(ListLogsRequestSchema, request)), undefined);
});

test("JSON may have 1,000 values and be nested 16 deep, and not one more", () => {
  assert.equal(shapeOfJson(`[${times(999, "1").join(",")}]`), undefined);
  assert.match(shapeOfJson(`[${times(1001, "1").join(",")}]`) ?? "", /more than 1000 values/);
  assert.equal(shapeOfJson("[".repeat(16) + "]".repeat(16)), undefined);
  assert.match(shapeOfJson("[".repeat(17)) ?? "", /nested too deeply/);
  assert.match(shapeOfJson('{"a":'.repeat(17)) ?? "", /nested too deeply/);
  assert.equal(shapeOfJson(`"${'[\\"'.repeat(5000)}"`), undefined, "brackets within a text");
  assert.equal(shapeOfJson("[]".repeat(400)), undefined, "beside each other, which is no JSON");
});

test("protobuf may have 1,000 fields, those of messages within it counted, and no groups", () => {
  assert.equal(shapeOfBinary(fields(1000, 0x5a, 0)), undefined);
  assert.match(shapeOfBinary(fields(1001, 0x5a, 0)) ?? "", /more than 1000 values/);
  assert.match(shapeOfBinary(fields(1, 0x0b, 0x0c)) ?? "", /wire type 3/);
  // The filter, an attribute of it, and many fields of that.
  const within = (count: number) =>
    message(0x0a, message(0x62, Buffer.concat([fields(count - 3, 0x7a, 0), fields(1, 0x2a, 0)])));
  assert.equal(shapeOfBinary(within(1000)), undefined);
  assert.match(shapeOfBinary(within(1001)) ?? "", /more than 1000 values/);
  assert.match(shapeOfBinary(message(0x0a, fields(1, 0x0b, 0x0c))) ?? "", /wire type 3/);
  // Lengths of one, two and five bytes lead to the next field.
  for (const length of [[3], [0x83, 0], [0x83, 0x80, 0x80, 0x80, 0]]) {
    const bytes = Buffer.from([0x32, ...length, 0x0b, 0x0b, 0x0b, 0x28, 1]);
    assert.equal(shapeOfBinary(bytes), undefined, String(length));
  }
  assert.equal(shapeOfBinary(Buffer.from([0x32, 0xff, 0xff, 0xff, 0xff, 0x7f])), undefined);
});

function message(tag: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([tag, (content.length & 127) | 128, content.length >> 7]), content]);
}
