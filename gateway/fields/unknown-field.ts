import type { DescField } from "@bufbuild/protobuf";
import { InvalidFieldError } from "./invalid-field.ts";

/** The fault of a request that names a field which is none of `fields`; says which there are. */
export function unknownField(fields: readonly DescField[], name: string): InvalidFieldError {
  const known = fields.map((field) => field.name).join(", ");
  const shortened = name.length > 40 ? `${name.slice(0, 40).toWellFormed()}…` : name;
  return new InvalidFieldError(shortened, `unknown field, expected one of ${known}`);
}
