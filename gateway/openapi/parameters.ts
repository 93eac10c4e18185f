import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { pageTokenCharactersMax } from "../fields/page-token.ts";
import {
  conditionsMax,
  deviceIdForm,
  devicesMax,
  sessionIdForm,
  textCharactersMax,
} from "../logs/read-log-filter.ts";
import { commentOf } from "./comments.ts";
import type { Schema, Schemas } from "./schemas.ts";

/**
 * The parameters of a REST call: the fields of its request, but for `without`. Those of `path` are a part of it.
 * `original` has the comments of fields that only say "See ListLogsRequest."
 */
export function parametersOf(
  request: DescMessage,
  original: DescMessage,
  schemas: Schemas,
  { path = "", without = [] }: { path?: string; without?: readonly string[] } = {},
): Schema[] {
  return request.fields
    .filter((field) => !without.includes(field.name))
    .map((field) => {
      const isInPath = path.includes(`{${field.name}}`);
      const comment = commentOf(field);
      const same = /^See ListLogsRequest\.$/.test(comment) ? original.field[field.localName] : undefined;
      return {
        name: field.name,
        in: isInPath ? "path" : "query",
        required: isInPath,
        description: `${same ? commentOf(same) : comment}${field.enum ? " As a number, or as the name without its prefix." : ""}`,
        schema: schemaOf(field, schemas),
      };
    });
}

function schemaOf(field: DescField, schemas: Schemas): Schema {
  const limit = limitsOf.get(field.name) ?? {};
  if (field.fieldKind !== "list") return { ...valueOf(field, schemas), ...limit };
  const { maxItems, ...ofItems } = limit;
  return {
    type: "array",
    items: { ...valueOf(field, schemas), ...ofItems },
    ...(maxItems !== undefined && { maxItems }),
  };
}

/** An attribute is written "name=value" in a query, whatever it is in JSON. */
function valueOf(field: DescField, schemas: Schemas): Schema {
  return field.message?.name === "AttributeCondition" ? { type: "string" } : schemas.ofValue(field);
}

const count = (maximum: number) => ({ minimum: 0, maximum });
const text = { maxLength: textCharactersMax };
const deviceId = { pattern: deviceIdForm.source };

/** What is refused beyond, by the name of the field; the same in every request. */
const limitsOf = new Map<string, Schema>([
  ["page_size", count(1000)],
  ["buckets_max", count(1000)],
  ["top_max", count(100)],
  ["sessions_max", count(100)],
  ["page_token", { maxLength: pageTokenCharactersMax }],
  ["text", text],
  ["words", text],
  ["excluded_text", text],
  ["search", text],
  ["logger_prefix", text],
  ["excluded_logger_prefixes", { ...text, minLength: 1, maxItems: conditionsMax }],
  ["attributes", { maxItems: conditionsMax }],
  ["excluded_attributes", { maxItems: conditionsMax }],
  ["attribute", text],
  ["device_id", deviceId],
  ["device_ids", { ...deviceId, maxItems: devicesMax }],
  ["excluded_device_ids", { ...deviceId, maxItems: devicesMax }],
  ["session_id", { pattern: sessionIdForm.source }],
]);
