import type { JsonValue } from "@bufbuild/protobuf";
import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";

/** The value of an attribute of a record as text; "" when it has none of this name. */
export function attributeText({ attributes = {} }: LogEntry, name: string): string {
  const value = attributes[name];
  return value === undefined ? "" : valueText(value);
}

/** A text as it is, everything else as JSON, as filters take it. */
export function valueText(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
