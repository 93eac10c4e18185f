import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { type RawBuilder, sql } from "kysely";
import type { AttributeCondition } from "./log-filter.ts";

/*
 * Attributes on their way out of PostgreSQL, and the meaning of a value that a condition asks for. An integer beyond 2^53
 * is the text of its digits, as JSON readers lose the last ones; see LogEntry.attributes.
 */

/**
 * Selects attributes for {@link parseAttributes}: as they stand, an eighth cheaper, unless they have an escape. Then as
 * [name, value, …]: of the names of an object V8's JSON.parse misreads some that have one (nodejs/node#63785).
 */
export function selectAttributes(column: RawBuilder<unknown>): RawBuilder<string | null> {
  return sql`case when strpos(${column}::text, '\\') = 0 then ${column}::text else (
    select json_agg(item)::text from jsonb_each(${column}), unnest(array[to_jsonb(key), value]) as item
  ) end`;
}

/** "__proto__" is an ordinary name to JSON.parse and fromEntries. */
export function parseAttributes(json: string | null): JsonObject {
  if (json === null) return {};
  const items = (longNumber.test(json) ? JSON.parse(json, keepDigits) : JSON.parse(json)) as
    | JsonObject
    | JsonValue[];
  if (!Array.isArray(items)) return items;
  const pairs: [string, JsonValue][] = [];
  for (let at = 0; at < items.length; at += 2) pairs.push([items[at] as string, items[at + 1] as JsonValue]);
  return Object.fromEntries(pairs);
}

/** The JSON text of a record's own attributes, as the consumer writes it; empty: none. */
export function parseStoredAttributes(json: string): JsonObject {
  if (json === "") return {};
  return parseAttributes(json.includes("\\") ? toPairs(json) : json);
}

/** An object of scalars as [name, value, …]. */
function toPairs(json: string): string {
  const items = json.replaceAll(stringOrColon, (found) => (found === ":" ? "," : found));
  return `[${items.trim().slice(1, -1)}]`;
}

const stringOrColon = /"(?:[^"\\]|\\.)*"|:/g;

const longNumber = /\d{16}/;

function keepDigits(_name: string, value: unknown, { source }: { source?: string } = {}): unknown {
  return typeof value === "number" && isDigits(value) ? source : value;
}

/** Whether readers get the number as the text of its digits. */
function isDigits(value: number): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) <= 2 ** 63;
}

/** Those of a record replace those of its batch. */
export function mergeAttributes(ofBatch: JsonObject, ofRecord: JsonObject): JsonObject {
  if (isEmpty(ofBatch)) return ofRecord;
  return isEmpty(ofRecord) ? ofBatch : { ...ofBatch, ...ofRecord };
}

function isEmpty(object: JsonObject): boolean {
  for (const _ in object) return false;
  return true;
}

/** What the value of a condition means beside its text, as JSON; undefined: nothing. */
export function scalarText(value: string): string | undefined {
  if (value === "true" || value === "false" || value === "null") return value;
  if (!jsonNumber.test(value)) return undefined;
  const number = Number(value);
  if (isDigits(number)) return digits.test(value) ? value : undefined;
  return Number.isFinite(number) ? String(number) : undefined;
}

/** Whether attributes, as readers get them, have one that is present, with any value or with what this one means. */
export function hasAttribute(attributes: JsonObject, { name, value }: AttributeCondition): boolean {
  const found = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  return found !== undefined && (value === undefined || isMeant(found, value));
}

function isMeant(found: JsonValue, value: string): boolean {
  if (typeof found === "string") return found === value;
  const scalar = scalarText(value);
  return scalar !== undefined && found === JSON.parse(scalar);
}

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const digits = /^-?[1-9]\d*$/;
