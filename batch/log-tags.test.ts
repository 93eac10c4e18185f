import assert from "node:assert/strict";
import { test } from "node:test";
import { type DescMessage, ScalarType } from "@bufbuild/protobuf";
import {
  DroppedSchema,
  LogBatchSchema,
  LogRecordSchema,
  UnreadableRecordSchema,
} from "#proto/gen/fleetlog/v1/log_pb.ts";
import {
  attributeTags,
  batchTags,
  droppedTags,
  knownFieldMax,
  recordTags,
  unreadableTags,
} from "./log-tags.ts";
import { wireType } from "./wire-reader.ts";

test("has the tags of log.proto, all of them", () => {
  assert.deepEqual(tagsOf(LogBatchSchema), batchTags);
  assert.deepEqual(tagsOf(DroppedSchema), droppedTags);
  assert.deepEqual(tagsOf(LogRecordSchema), recordTags);
  assert.deepEqual(tagsOf(UnreadableRecordSchema), unreadableTags);
});

test("knows the highest field number of every message", () => {
  assert.equal(knownFieldMax.batch, Object.keys(batchTags).length);
  assert.equal(knownFieldMax.dropped, Object.keys(droppedTags).length);
  assert.equal(knownFieldMax.record, Object.keys(recordTags).length);
  assert.equal(knownFieldMax.attribute, Object.keys(attributeTags).length);
  assert.equal(knownFieldMax.unreadable, Object.keys(unreadableTags).length);
});

function tagsOf(message: DescMessage): Record<string, number> {
  return Object.fromEntries(
    message.fields.map((field) => {
      const isVarint =
        field.fieldKind === "enum" ||
        field.scalar === ScalarType.UINT64 ||
        field.scalar === ScalarType.UINT32;
      const type = isVarint
        ? wireType.varint
        : field.scalar === ScalarType.FIXED64
          ? wireType.fixed64
          : wireType.bytes;
      return [field.localName, field.number * 8 + type];
    }),
  );
}
