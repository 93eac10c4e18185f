import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { FieldName } from "#proto/all-fields.ts";
import {
  DroppedSchema,
  LogBatchSchema,
  LogRecordSchema,
  UnreadableRecordSchema,
} from "#proto/gen/fleetlog/v1/log_pb.ts";
import { wireType } from "./wire-reader.ts";

// The tags of log.proto as they are on the wire: field number × 8 + wire type.

export const batchTags = listTags(LogBatchSchema);
export const droppedTags = listTags(DroppedSchema);
export const recordTags = listTags(LogRecordSchema);
export const unreadableTags = listTags(UnreadableRecordSchema);

/** An entry of map<string, string> is a message of its own. */
export const attributeTags = { key: 1 * 8 + wireType.bytes, value: 2 * 8 + wireType.bytes } as const;

/** The highest field number of each message; a higher one belongs to a later version of log.proto. */
export const knownFieldMax = {
  batch: highestNumber(LogBatchSchema),
  dropped: highestNumber(DroppedSchema),
  record: highestNumber(LogRecordSchema),
  attribute: 2,
  unreadable: highestNumber(UnreadableRecordSchema),
} as const;

function listTags<Desc extends DescMessage>({ fields }: Desc): Readonly<Record<FieldName<Desc>, number>> {
  const tags = fields.map((field) => [field.localName, field.number * 8 + toWireType(field)] as const);
  return Object.fromEntries(tags) as Record<FieldName<Desc>, number>;
}

function toWireType({ fieldKind, scalar }: DescField): number {
  if (fieldKind === "enum") return wireType.varint;
  if (scalar === ScalarType.UINT64 || scalar === ScalarType.UINT32) return wireType.varint;
  return scalar === ScalarType.FIXED64 ? wireType.fixed64 : wireType.bytes;
}

function highestNumber({ fields }: DescMessage): number {
  return Math.max(...fields.map(({ number }) => number));
}
