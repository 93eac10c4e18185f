import { ScalarType } from "@bufbuild/protobuf";
import type { FieldName } from "#proto/all-fields.ts";
import { type LogRecord, LogRecordSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { limits } from "./limits.ts";
import { recordTags } from "./log-tags.ts";

type RecordFieldName = FieldName<typeof LogRecordSchema>;

/** The string and bytes fields of a LogRecord; in TypeScript. */
export type StringFieldName = {
  [Name in RecordFieldName]: LogRecord[Name] extends string | Uint8Array ? Name : never;
}[RecordFieldName];

export type StringValues = Pick<LogRecord, StringFieldName>;

interface Limit {
  readonly bytesMax: number;
}

/** A new field of log.proto does not compile until its limit is here. */
const limitOf: Readonly<Record<StringFieldName, Limit>> = {
  logger: { bytesMax: limits.loggerBytesMax },
  message: { bytesMax: limits.messageBytesMax },
  traceId: { bytesMax: limits.traceIdBytes },
  spanId: { bytesMax: limits.spanIdBytes },
  eventName: { bytesMax: limits.eventNameBytesMax },
  severityText: { bytesMax: limits.severityTextBytesMax },
};

export interface StringField {
  readonly localName: StringFieldName;
  /** In log.proto, and in `records`. */
  readonly name: string;
  readonly jsonName: string;
  readonly number: number;
  readonly tag: number;
  readonly bytesMax: number;
  /** A bytes field is an id: it has exactly `bytesMax` bytes, and is absent when all of them are 0. */
  readonly isId: boolean;
}

/** By rising number: all that reads, checks, stores or repairs a record walks over these. */
export const stringFields: readonly StringField[] = LogRecordSchema.fields
  .filter(({ localName }) => localName in limitOf)
  .map(({ localName, name, jsonName, number, scalar }) => {
    const field = localName as StringFieldName;
    const isId = scalar === ScalarType.BYTES;
    return { localName: field, name, jsonName, number, tag: recordTags[field], isId, ...limitOf[field] };
  });

/** All but the two that nearly every record has: the attributes of `records.extra`, in their order. */
export const rareStringFields = stringFields.filter(
  ({ localName }) => localName !== "logger" && localName !== "message",
);

/** A record's values of all these fields. */
export function stringValues(valueOf: (field: StringField) => StringValues[StringFieldName]): StringValues {
  return Object.fromEntries(stringFields.map((field) => [field.localName, valueOf(field)])) as StringValues;
}
