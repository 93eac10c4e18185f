import { create } from "@bufbuild/protobuf";
import { type Attribute, AttributeSchema } from "./gen/fleetlog/v1/log_pb.ts";

/** The value of an attribute. A number without a fraction is an integer on the wire, up to 2^53; a bigint always is. */
export type AttributeValue = string | boolean | bigint | number | null;

export function createAttributes(values: Readonly<Record<string, AttributeValue>>): Attribute[] {
  return Object.entries(values).map(([key, value]) =>
    create(AttributeSchema, value === null ? { key } : { key, value: toOneof(value) }),
  );
}

function toOneof(value: NonNullable<AttributeValue>): Attribute["value"] {
  if (typeof value === "string") return { case: "stringValue", value };
  if (typeof value === "boolean") return { case: "boolValue", value };
  if (typeof value === "bigint") return { case: "intValue", value };
  if (Number.isSafeInteger(value)) return { case: "intValue", value: BigInt(value) };
  return { case: "doubleValue", value };
}

/** The values by name, the last one of a repeated name; "__proto__" is a name like any other. */
export function readAttributes(attributes: readonly Attribute[]): Record<string, AttributeValue> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.value ?? null]));
}
