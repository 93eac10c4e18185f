import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { FieldName } from "#proto/all-fields.ts";
import {
  type Attribute,
  AttributeSchema,
  DeviceInfoSchema,
  DroppedSchema,
  LogBatchSchema,
  LogRecordSchema,
  UnreadableRecordSchema,
} from "#proto/gen/fleetlog/v1/log_pb.ts";
import { wireType } from "./wire-reader.ts";

// The tags of log.proto as they are on the wire: field number × 8 + wire type.

const varints = new Set([ScalarType.UINT32, ScalarType.UINT64, ScalarType.SINT64, ScalarType.BOOL]);
const fixed64s = new Set([ScalarType.FIXED64, ScalarType.DOUBLE]);

export const batchTags = listTags<FieldName<typeof LogBatchSchema>>(LogBatchSchema);
export const deviceInfoTags = listTags<FieldName<typeof DeviceInfoSchema>>(DeviceInfoSchema);
export const droppedTags = listTags<FieldName<typeof DroppedSchema>>(DroppedSchema);
export const recordTags = listTags<FieldName<typeof LogRecordSchema>>(LogRecordSchema);
export const unreadableTags = listTags<FieldName<typeof UnreadableRecordSchema>>(UnreadableRecordSchema);
/** In TypeScript the values are one field. */
export const attributeTags = listTags<"key" | NonNullable<Attribute["value"]["case"]>>(AttributeSchema);

/** The highest field number of each message; a higher one belongs to a later version of log.proto. */
export const knownFieldMax = {
  batch: highestNumber(LogBatchSchema),
  dropped: highestNumber(DroppedSchema),
  record: highestNumber(LogRecordSchema),
  attribute: highestNumber(AttributeSchema),
  deviceInfo: highestNumber(DeviceInfoSchema),
  unreadable: highestNumber(UnreadableRecordSchema),
} as const;

function listTags<Name extends string>({ fields }: DescMessage): Readonly<Record<Name, number>> {
  const tags = fields.map((field) => [field.localName, field.number * 8 + toWireType(field)] as const);
  return Object.fromEntries(tags) as Record<Name, number>;
}

function toWireType({ fieldKind, scalar }: DescField): number {
  if (fieldKind === "enum") return wireType.varint;
  if (scalar === undefined) return wireType.bytes;
  if (varints.has(scalar)) return wireType.varint;
  return fixed64s.has(scalar) ? wireType.fixed64 : wireType.bytes;
}

function highestNumber({ fields }: DescMessage): number {
  return Math.max(...fields.map(({ number }) => number));
}
