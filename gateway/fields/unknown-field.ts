import type { DescField } from "@bufbuild/protobuf";
import { InvalidFieldError } from "./invalid-field.ts";

/** The error for a request field that is none of `fields`; it lists the known ones. */
export function unknownField(fields: readonly DescField[], name: string): InvalidFieldError {
  const known = fields.map((field) => field.name).join(", ");
  const shortened = name.length > 40 ? `${name.slice(0, 40).toWellFormed()}…` : name;
  return new InvalidFieldError(shortened, `unknown field, expected one of ${known}`);
}
