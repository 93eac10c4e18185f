import type { DescMessage, MessageShape } from "@bufbuild/protobuf";

/** The names of a message's fields in TypeScript. */
export type FieldName<Desc extends DescMessage> = Exclude<keyof MessageShape<Desc>, "$typeName" | "$unknown">;

/**
 * Every field of a message, also those that may be undefined. What is built for `create()` with
 * `satisfies AllFields<typeof LogEntrySchema>` does not compile until it has a field that the .proto file got.
 */
export type AllFields<Desc extends DescMessage> = {
  readonly [Name in FieldName<Desc>]: MessageShape<Desc>[Name];
};
