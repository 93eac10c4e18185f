import { type RawBuilder, type SqlBool, sql } from "kysely";
import { timestamptz } from "../fields/time.ts";
import { scalarText } from "./attributes.ts";
import {
  type AttributeCondition,
  type ConditionName,
  type LogFilter,
  listConditions,
  severitiesFrom,
  severityNumbers,
} from "./log-filter.ts";

export type Condition = RawBuilder<SqlBool>;

/**
 * Where SQL checks a condition: on the device's key, on the row of `batches`, on the row of `records`, or on
 * several.
 */
type InSql<T> =
  /** findDevices looks up the keys, and every selection of batches compares them. */
  | { readonly byDeviceKey: true; readonly ofBatch?: never; readonly ofRecord?: never }
  | { readonly ofBatch: OfBatch<T>; readonly ofRecord?: OfRecord<T> }
  | { readonly ofRecord: OfRecord<T>; readonly ofBatch?: never };

/** False where no record of the batch can match. */
type OfBatch<T> = (value: T) => readonly Condition[];
type OfRecord<T> = (value: T, ofBatches: OfBatches) => readonly Condition[];

/** Whether the batch of a row of `records` has the attribute; undefined: none of the statement's batches has it. */
export type OfBatches = (attribute: AttributeCondition) => Condition | undefined;

const inSql: { readonly [Name in ConditionName]: InSql<NonNullable<LogFilter[Name]>> } = {
  deviceIds: { byDeviceKey: true },
  excludedDeviceIds: { byDeviceKey: true },
  sessionId: { ofBatch: (sessionId) => [sql`batches.session_id = ${sessionId}`] },
  startMicros: {
    ofBatch: (micros) => [sql`batches.last_time >= ${timestamptz(micros)}`],
    ofRecord: (micros) => [sql`time >= ${timestamptz(micros)}`],
  },
  endMicros: {
    ofBatch: (micros) => [sql`batches.first_time < ${timestamptz(micros)}`],
    ofRecord: (micros) => [sql`time < ${timestamptz(micros)}`],
  },
  severities: {
    ofBatch: (severities) => [sql`batches.severities & ${severities}::int <> 0`],
    ofRecord: (severities) => [hasSeverity(severities)],
  },
  texts: { ofRecord: (texts) => texts.map((text) => hasText(sql`message`, text)) },
  excludedTexts: {
    ofRecord: (texts) => texts.map((text) => sql`not ${hasText(sql`message`, text)}`),
  },
  traceId: { ofRecord: (traceId) => [sql`trace_id = ${`\\x${traceId}`}::bytea`] },
  loggerPrefix: { ofRecord: (prefix) => [sql`starts_with(logger, ${prefix})`] },
  excludedLoggerPrefixes: {
    ofRecord: (prefixes) => prefixes.map((prefix) => sql`not starts_with(logger, ${prefix})`),
  },
  attributes: {
    ofRecord: (attributes, ofBatches) => attributes.map((one) => hasAttribute(one, ofBatches)),
  },
  excludedAttributes: {
    ofRecord: (attributes, ofBatches) =>
      attributes.map((one) => sql`not coalesce(${hasAttribute(one, ofBatches)}, false)`),
  },
};

/**
 * The conditions on a row of `records`; those that its batch decides (device, session) are not repeated. `ofBatches`
 * knows the attributes of the batches that the statement reads.
 */
export function recordConditions(filter: LogFilter, ofBatches: OfBatches): Condition[] {
  return listConditions(filter).flatMap((name) => ofRecord(name, filter[name], ofBatches));
}

/**
 * Looks the attribute up among the batches that meet `where`, which should be those that the statement reads. The
 * statement hashes the ids once: joined, the row of its batch would be read for each record.
 */
export function amongBatches(where: Condition): OfBatches {
  return (attribute) =>
    sql`batch_id in (select batches.id from batches where ${where} and ${batchHasAttribute(attribute)})`;
}

/** The conditions on a row of `batches` that any matching record implies; the walk checks the devices. */
export function batchConditions(filter: LogFilter): Condition[] {
  return listConditions(filter).flatMap((name) => ofBatch(name, filter[name]));
}

function ofRecord<Name extends ConditionName>(name: Name, value: LogFilter[Name], ofBatches: OfBatches) {
  return inSql[name].ofRecord?.(value as NonNullable<typeof value>, ofBatches) ?? [];
}

function ofBatch<Name extends ConditionName>(name: Name, value: LogFilter[Name]) {
  return inSql[name].ofBatch?.(value as NonNullable<typeof value>) ?? [];
}

export function allOf(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? sql`true` : sql`${sql.join(conditions, sql` and `)}`;
}

function hasSeverity(severities: number): Condition {
  const [least = 25] = severityNumbers(severities);
  if (severities === severitiesFrom(least)) return sql`severity >= ${least}::int2`;
  return sql`severity = any(${severityNumbers(severities)}::int2[])`;
}

/** A substring in any case; `%`, `_` and `\` are literal. With the semantics of ILIKE. */
export function containsText(value: RawBuilder<unknown>, text: string): Condition {
  const pattern = sql`${`%${text.replace(/[%_\\]/g, "\\$&")}%`}::text`;
  return sql`${foldedText(value)} like ${foldedText(pattern)}`;
}

/** Without case, by a named collation: the locale of databases differs. */
function foldedText(value: RawBuilder<unknown>): RawBuilder<string> {
  return sql`lower(${value} collate pg_c_utf8)`;
}

/**
 * The same for many values. Folding all of Unicode is most of the cost of a rare text, so it is done only for those that
 * contain the longest piece of the text that folds as ASCII: 0.42 instead of 0.59 µs a record.
 */
function hasText(value: RawBuilder<unknown>, text: string): Condition {
  const pieces = text.match(foldedAsAscii) ?? [];
  const longest = pieces.reduce((best, piece) => (piece.length > best.length ? piece : best), "");
  if (longest.length < pieceLengthMin) return containsText(value, text);
  return sql`case when strpos(lower(${value} collate "C"), ${longest.toLowerCase()}) > 0
    then ${containsText(value, text)} else false end`;
}

/** Not i and k, into which \u0130 and \u212a are folded too. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const foldedAsAscii = /[\0-HJL-hjl-\x7f]+/g;
const pieceLengthMin = 3;

/** On the row of a record: its own attribute counts, or else that of its batch. */
function hasAttribute(attribute: AttributeCondition, ofBatches: OfBatches): Condition {
  const own = contains(sql`records.attributes`, attribute);
  const inherited = ofBatches(attribute);
  if (inherited === undefined) return own;
  if (attribute.value === undefined) return sql`(coalesce(${own}, false) or ${inherited})`;
  const isReplaced = sql`coalesce(records.attributes ? ${attribute.name}::text, false)`;
  return sql`(coalesce(${own}, false) or (not ${isReplaced} and ${inherited}))`;
}

/** On the row of a batch, whatever its records replace. */
function batchHasAttribute(attribute: AttributeCondition): Condition {
  return contains(sql`batches.attributes`, attribute);
}

function contains(attributes: RawBuilder<unknown>, { name, value }: AttributeCondition): Condition {
  if (value === undefined) return sql`${attributes} ? ${name}::text`;
  // Constants: jsonb_build_object is not immutable and would be evaluated for each record, 0.5 µs.
  const isText = sql<SqlBool>`${attributes} @> ${JSON.stringify({ [name]: value })}::jsonb`;
  const scalar = scalarText(value);
  if (scalar === undefined) return isText;
  return sql`(${isText} or ${attributes} @> ${`{${JSON.stringify(name)}:${scalar}}`}::jsonb)`;
}
