import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import {
  DroppedSchema,
  LogBatchSchema,
  LogRecordSchema,
  UnreadableRecordSchema,
} from "#proto/gen/fleetlog/v1/log_pb.ts";
import { batchTags, droppedTags, knownFieldMax, recordTags, unreadableTags } from "./log-tags.ts";

const messages: [schema: DescMessage, tags: Readonly<Record<string, number>>, highest: number][] = [
  [LogBatchSchema, batchTags, knownFieldMax.batch],
  [DroppedSchema, droppedTags, knownFieldMax.dropped],
  [LogRecordSchema, recordTags, knownFieldMax.record],
  [UnreadableRecordSchema, unreadableTags, knownFieldMax.unreadable],
];

for (const [schema, tags, highest] of messages) {
  test(`has the tags that protobuf-es writes before the fields of a ${schema.name}, each of one byte`, () => {
    for (const field of schema.fields) {
      const [tag] = toBinary(schema, create(schema, { [field.localName]: makeSample(field) }));
      assert.equal(tags[field.localName], tag, field.name);
      assert.ok(field.number <= highest && tag! < 128, field.name);
    }
    assert.equal(highest, Math.max(...schema.fields.map(({ number }) => number)));
  });
}

function makeSample({ fieldKind, scalar, message }: DescField): unknown {
  if (fieldKind === "message") return create(message);
  if (fieldKind === "list") return [{}];
  if (fieldKind === "map") return { name: "value" };
  if (scalar === ScalarType.STRING) return "text";
  if (scalar === ScalarType.BYTES) return new Uint8Array(1);
  return scalar === ScalarType.UINT64 || scalar === ScalarType.FIXED64 ? 1n : 1;
}
