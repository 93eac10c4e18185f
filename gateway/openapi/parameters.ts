import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { pageTokenCharactersMax } from "../fields/page-token.ts";
import {
  conditionsMax,
  deviceIdForm,
  devicesMax,
  type LogFilterFields,
  sessionIdForm,
  textCharactersMax,
  traceIdForm,
} from "../logs/read-log-filter.ts";
import { queryParameters } from "../rest/query-parameters.ts";
import { readComment } from "./comments.ts";
import type { Schema, Schemas } from "./schemas.ts";

/** The parameters of a REST call, except `without`. Those of `path` are a part of it. */
export function toParameters(
  request: DescMessage,
  schemas: Schemas,
  { path = "", without = [] }: { path?: string; without?: readonly string[] } = {},
): Schema[] {
  return queryParameters(request)
    .filter(({ field }) => !without.includes(field.name))
    .map(({ field }) => {
      const isInPath = path.includes(`{${field.name}}`);
      return {
        name: field.name,
        in: isInPath ? "path" : "query",
        required: isInPath,
        description: `${readComment(field)}${field.enum ? " As a number, or as the name without its prefix." : ""}`,
        schema: fieldSchema(field, schemas),
      };
    });
}

function fieldSchema(field: DescField, schemas: Schemas): Schema {
  const limit = limits.get(field.localName) ?? {};
  if (field.fieldKind !== "list") return { ...valueSchema(field, schemas), ...limit };
  const { maxItems, ...ofItems } = limit;
  return {
    type: "array",
    items: { ...valueSchema(field, schemas), ...ofItems },
    ...(maxItems !== undefined && { maxItems }),
  };
}

/** In a query an attribute is "name=value". */
function valueSchema(field: DescField, schemas: Schemas): Schema {
  return field.message?.name === "AttributeCondition" ? { type: "string" } : schemas.ofValue(field);
}

/** Without a maximum: more counts as the most. */
const count = { minimum: 0 };
const text = { maxLength: textCharactersMax };
const deviceId = { pattern: deviceIdForm.source };

/** The limits of fields, by name; of LogFilter, every field has one. */
const filterLimits: Readonly<Record<keyof LogFilterFields, Schema>> = {
  deviceId,
  deviceIds: { ...deviceId, maxItems: devicesMax },
  excludedDeviceIds: { ...deviceId, maxItems: devicesMax },
  sessionId: { pattern: sessionIdForm.source },
  minSeverity: {},
  severities: {},
  text,
  words: text,
  excludedText: text,
  loggerPrefix: text,
  excludedLoggerPrefixes: { ...text, minLength: 1, maxItems: conditionsMax },
  attributes: { maxItems: conditionsMax },
  excludedAttributes: { maxItems: conditionsMax },
  traceId: { pattern: traceIdForm.source },
};

/** The same in every request. */
const limits = new Map<string, Schema>([
  ...Object.entries(filterLimits),
  ["pageSize", count],
  ["bucketsMax", count],
  ["topMax", count],
  ["sessionsMax", count],
  ["last", count],
  ["pageToken", { maxLength: pageTokenCharactersMax }],
  ["search", text],
  ["attribute", text],
]);
