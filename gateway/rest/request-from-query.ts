import {
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { AttributeConditionSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { InvalidFieldError, show } from "../fields/invalid-field.ts";
import { unknownField } from "../fields/unknown-field.ts";
import { queryParameters } from "./query-parameters.ts";

/**
 * The JSON of a request from query parameters, by the request's descriptor: each parameter is a field of it or
 * of its filter, by its name in the .proto file or in JSON; a repeated field may be given several times; an
 * empty value counts as absent, as forms send it. Throws an {@link InvalidFieldError} for the first invalid
 * parameter.
 */
export function requestFromQuery(input: DescMessage, query: URLSearchParams): JsonObject {
  const parameters = queryParameters(input);
  const request: JsonObject = {};
  for (const name of new Set(query.keys())) {
    const parameter = parameters.find(({ field }) => field.name === name || field.jsonName === name);
    if (parameter === undefined) {
      throw unknownField(
        parameters.map(({ field }) => field),
        name,
      );
    }
    const values = query.getAll(name).filter((value) => value !== "");
    if (values.length === 0) continue;
    const { field, within } = parameter;
    const message = within === undefined ? request : ((request[within.name] ??= {}) as JsonObject);
    if (field.name in message)
      throw new InvalidFieldError(field.name, "given as snake_case and lowerCamelCase, expected one of them");
    message[field.name] = readValues(field, values);
  }
  return request;
}

function readValues(field: DescField, values: readonly string[]): JsonValue {
  if (field.fieldKind === "list") return values.map((value) => readValue(field, value));
  const [value = "", ...more] = values;
  if (more.length === 0) return readValue(field, value);
  throw new InvalidFieldError(field.name, `given ${values.length} times, expected once`);
}

function readValue(field: DescField, value: string): JsonValue {
  if (field.enum !== undefined) return readEnum(field.name, field.enum, value);
  if (field.message?.typeName === TimestampSchema.typeName) return readTimestamp(field.name, value);
  if (field.message?.typeName === AttributeConditionSchema.typeName) return readAttribute(value);
  if (field.message?.typeName === DurationSchema.typeName) return readDuration(field.name, value);
  if (field.scalar === ScalarType.STRING) return value;
  if (field.scalar === ScalarType.BOOL) {
    if (value === "true" || value === "false") return value === "true";
    throw new InvalidFieldError(field.name, `${show(value)}, expected true or false`);
  }
  const range = field.scalar === undefined ? undefined : integerRanges.get(field.scalar);
  if (range === undefined) throw new Error(`${field.toString()} is not supported as a query parameter`);
  const isInRange = /^-?\d{1,20}$/.test(value) && BigInt(value) >= range[0] && BigInt(value) <= range[1];
  if (!isInRange) {
    throw new InvalidFieldError(field.name, `${show(value)}, expected an integer from ${range.join(" to ")}`);
  }
  return String(BigInt(value));
}

/** "ERROR", "severity_error" and "17" are the same. */
function readEnum(fieldName: string, { sharedPrefix = "", values }: DescEnum, value: string): number {
  const name = value.toUpperCase();
  const prefix = sharedPrefix.toUpperCase();
  const found = values.find(
    (one) => name === one.name || prefix + name === one.name || value === `${one.number}`,
  );
  if (found !== undefined) return found.number;
  const known = values.map((one) => one.name.slice(prefix.length)).join(", ");
  throw new InvalidFieldError(fieldName, `${show(value)}, expected one of ${known}, or its number`);
}

function readDuration(fieldName: string, value: string): string {
  try {
    fromJson(DurationSchema, value);
    return value;
  } catch {
    throw new InvalidFieldError(fieldName, `${show(value)}, expected seconds with an s, such as 90s or 0.5s`);
  }
}

/** "name=value", or "name" alone; in the name a backslash escapes the next character. */
function readAttribute(value: string): JsonObject {
  const [name = ""] = /^(?:\\[^]|[^\\=])*/.exec(value) ?? [];
  const unescaped = name.replace(/\\([^])/g, "$1");
  if (name.length === value.length) return { name: unescaped };
  return { name: unescaped, value: value.slice(name.length + (value[name.length] === "=" ? 1 : 0)) };
}

/** The "+" of an offset arrives as a space when it was not escaped. */
function readTimestamp(fieldName: string, value: string): string {
  const time = value.replace(" ", "+");
  try {
    fromJson(TimestampSchema, time);
    return time;
  } catch {
    throw new InvalidFieldError(
      fieldName,
      `${show(value)}, expected a time of the years 0001 to 9999 in RFC 3339, such as 2026-01-31T12:00:00Z`,
    );
  }
}

const integerRanges = new Map<ScalarType, readonly [bigint, bigint]>([
  [ScalarType.INT32, [-(2n ** 31n), 2n ** 31n - 1n]],
  [ScalarType.UINT32, [0n, 2n ** 32n - 1n]],
  [ScalarType.INT64, [-(2n ** 63n), 2n ** 63n - 1n]],
  [ScalarType.UINT64, [0n, 2n ** 64n - 1n]],
]);
