import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import {
  AttributeSchema,
  DeviceInfoSchema,
  DroppedSchema,
  LogBatchSchema,
  LogRecordSchema,
  UnreadableRecordSchema,
} from "#proto/gen/fleetlog/v1/log_pb.ts";
import {
  attributeTags,
  batchTags,
  deviceInfoTags,
  droppedTags,
  knownFieldMax,
  recordTags,
  unreadableTags,
} from "./log-tags.ts";

const messages: [schema: DescMessage, tags: Readonly<Record<string, number>>, highest: number][] = [
  [LogBatchSchema, batchTags, knownFieldMax.batch],
  [DroppedSchema, droppedTags, knownFieldMax.dropped],
  [LogRecordSchema, recordTags, knownFieldMax.record],
  [AttributeSchema, attributeTags, knownFieldMax.attribute],
  [DeviceInfoSchema, deviceInfoTags, knownFieldMax.deviceInfo],
  [UnreadableRecordSchema, unreadableTags, knownFieldMax.unreadable],
];

for (const [schema, tags, highest] of messages) {
  test(`has the tags that protobuf-es writes before the fields of a ${schema.name}, each of one byte`, () => {
    for (const field of schema.fields) {
      const value = makeSample(field);
      const { localName, oneof } = field;
      const init = oneof ? { [oneof.localName]: { case: localName, value } } : { [localName]: value };
      const [tag] = toBinary(schema, create(schema, init));
      assert.equal(tags[field.localName], tag, field.name);
      assert.ok(field.number <= highest && tag! < 128, field.name);
    }
    assert.equal(highest, Math.max(...schema.fields.map(({ number }) => number)));
  });
}

function makeSample({ fieldKind, scalar, message }: DescField): unknown {
  if (fieldKind === "message") return create(message);
  if (fieldKind === "list") return [{}];
  if (scalar === ScalarType.STRING) return "text";
  if (scalar === ScalarType.BYTES) return new Uint8Array(1);
  if (scalar === ScalarType.BOOL) return true;
  return scalar === ScalarType.UINT32 || scalar === ScalarType.DOUBLE || scalar === undefined ? 1 : 1n;
}
