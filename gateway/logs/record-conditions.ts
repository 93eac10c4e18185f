import { type RawBuilder, type SqlBool, sql } from "kysely";
import { foldedText, type PartitionIndex } from "#postgres/partition-indexes.ts";
import { timestamptz } from "../time.ts";
import {
  type AttributeCondition,
  anySeverity,
  type LogFilter,
  severitiesFrom,
  severityNumbers,
} from "./log-filter.ts";

export type Condition = RawBuilder<SqlBool>;

/** What a row of `records` must fulfil; what its batch knows (device, session) is not looked at again. */
export function recordConditions(filter: LogFilter): Condition[] {
  const conditions: Condition[] = [];
  if (filter.startMicros !== undefined) conditions.push(sql`time >= ${timestamptz(filter.startMicros)}`);
  if (filter.endMicros !== undefined) conditions.push(sql`time < ${timestamptz(filter.endMicros)}`);
  if (filter.severities !== anySeverity) conditions.push(hasSeverity(filter.severities));
  for (const text of filter.texts) conditions.push(containsText(sql`message`, text));
  for (const text of filter.excludedTexts) conditions.push(sql`not ${containsText(sql`message`, text)}`);
  if (filter.loggerPrefix !== "") conditions.push(sql`starts_with(logger, ${filter.loggerPrefix})`);
  for (const prefix of filter.excludedLoggerPrefixes)
    conditions.push(sql`not starts_with(logger, ${prefix})`);
  for (const attribute of filter.attributes) conditions.push(hasAttribute(attribute));
  for (const attribute of filter.excludedAttributes) {
    conditions.push(sql`not coalesce(${hasAttribute(attribute)}, false)`);
  }
  return conditions;
}

/** What a row of `batches` must fulfil for any of its records to match; times and devices are the walk's. */
export function batchConditions(filter: LogFilter): Condition[] {
  const conditions: Condition[] = [];
  if (filter.severities !== anySeverity) {
    conditions.push(sql`batches.severities & ${filter.severities}::int <> 0`);
  }
  if (filter.batchIdMax !== undefined) conditions.push(sql`batches.id <= ${String(filter.batchIdMax)}::int8`);
  if (filter.sessionId !== undefined) conditions.push(sql`batches.session_id = ${filter.sessionId}`);
  return conditions;
}

export function allOf(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? sql`true` : sql`${sql.join(conditions, sql` and `)}`;
}

function hasSeverity(severities: number): Condition {
  const [least = 25] = severityNumbers(severities);
  if (severities === severitiesFrom(least)) return sql`severity >= ${least}::int2`;
  return sql`severity = any(${severityNumbers(severities)}::int2[])`;
}

/**
 * Case-insensitive substring; `%`, `_` and `\` stand for themselves. In the words of the index of closed days, and what
 * ILIKE does too.
 */
export function containsText(value: RawBuilder<unknown>, text: string): Condition {
  const pattern = sql`${`%${text.replace(/[%_\\]/g, "\\$&")}%`}::text`;
  return sql`${foldedText(value)} like ${foldedText(pattern)}`;
}

/** The indexes of closed days that lead to what matches; none: all records have to be read. */
export function indexesFor({ texts, attributes }: LogFilter): readonly PartitionIndex[] {
  const indexes: PartitionIndex[] = [];
  if (texts.some((text) => trigram.test(text))) indexes.push("text");
  if (attributes.some(({ value }) => value !== undefined)) indexes.push("attributes");
  return indexes;
}

/** What pg_trgm takes for three letters of a word in every locale; without, its index is read from end to end. */
const trigram = /[A-Za-z0-9]{3}/;

/** By the operators that a GIN index knows. */
function hasAttribute({ name, value }: AttributeCondition): Condition {
  if (value === undefined) return sql`attributes ? ${name}::text`;
  return sql`attributes @> jsonb_build_object(${name}::text, ${value}::text)`;
}
