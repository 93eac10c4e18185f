import { readSeverity, readTime, readWhole } from "#batch/json/json-numbers.ts";
import { readId } from "#batch/json/read-id.ts";
import { type StringFieldName, stringFields } from "#batch/string-fields.ts";
import { AttributeSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { LooseAttribute, LooseRecord, LooseValue } from "./read-loosely.ts";

const timeFields = [
  { name: "time_unix_nano", localName: "timeUnixNano", read: readTime },
  { name: "uptime_nano", localName: "uptimeNano", read: readWhole },
  { name: "observed_time_unix_nano", localName: "observedTimeUnixNano", read: readTime },
] as const;

/** A record as its sender wrote it in JSON, and the repairs it needed. */
export interface LooseJsonRecord extends LooseRecord {
  readonly repairs: readonly string[];
}

/**
 * Makes a record of JSON text that could not be read as one: what is no text becomes text, a time or a severity that
 * means nothing is left out, and said. Text that is no JSON object, such as one that was cut, is the message.
 */
export function readJsonRecord(json: Uint8Array): LooseJsonRecord {
  const repairs: string[] = [];
  const record = {
    timeUnixNano: 0n,
    severity: 0,
    uptimeNano: 0n,
    observedTimeUnixNano: 0n,
    strings: new Map<StringFieldName, Uint8Array>(),
    attributes: [] as LooseAttribute[],
    isCut: false,
    repairs,
  };
  const fields = parseObject(json);
  if (fields === undefined) {
    repairs.push("it is not a complete JSON object, so its text becomes the message");
    record.strings.set("message", Buffer.from(json));
    return record;
  }
  const wide = { high: 0, low: 0 };
  for (const [key, value] of Object.entries(fields)) {
    if (value === null) continue;
    const text = Buffer.from(toText(value));
    const string = stringFields.find(({ name, jsonName }) => key === name || key === jsonName);
    const time = timeFields.find(({ name, localName }) => key === name || key === localName);
    if (time) {
      if (time.read(text, 0, text.length, wide))
        record[time.localName] = (BigInt(wide.high) << 32n) | BigInt(wide.low);
      else repairs.push(`${time.name}: was ${text.toString().slice(0, 40)}`);
    } else if (key === "severity") {
      const severity = readSeverity(text, 0, text.length, wide);
      if (severity === undefined) repairs.push(`severity: was ${text.toString().slice(0, 40)}`);
      else record.severity = severity;
    } else if (string?.isId) {
      const id = readId(text.toString(), string.bytesMax);
      if (id === undefined) repairs.push(`${string.name}: was ${text.toString().slice(0, 40)}`);
      else record.strings.set(string.localName, id);
    } else if (string) {
      record.strings.set(string.localName, text);
      if (typeof value !== "string") repairs.push(`${string.name}: was not a string`);
    } else if (key === "attributes" && typeof value === "object") {
      for (const [name, attribute] of listAttributes(value)) {
        const isNested = typeof attribute === "object" && attribute !== null;
        if (isNested) repairs.push(`attributes[${JSON.stringify(name)}]: was not a string`);
        record.attributes.push({ name: Buffer.from(name), value: toLooseValue(attribute) });
      }
    } else {
      repairs.push(`${key.slice(0, 40)}: is removed`);
    }
  }
  return record;
}

/** By name, from an object or from the list that protobuf writes. */
function listAttributes(value: object): [string, unknown][] {
  if (!Array.isArray(value)) return Object.entries(value);
  return value.map((element: unknown) => {
    const { key, ...values } = Object(element) as Record<string, unknown>;
    const known = Object.entries(values).find(([name]) => valueNames.has(name));
    return [typeof key === "string" ? key : "", known === undefined ? null : known[1]];
  });
}

const valueNames = new Set(
  AttributeSchema.fields.flatMap(({ name, jsonName }) => (name === "key" ? [] : [name, jsonName])),
);

/** What no attribute can have becomes its text. */
function toLooseValue(value: unknown): LooseValue {
  if (value === null || typeof value === "boolean" || typeof value === "bigint") return value;
  if (typeof value !== "number") return Buffer.from(toText(value));
  return Number.isSafeInteger(value) ? BigInt(value) : value;
}

function parseObject(json: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(json).toString(), keepDigits);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // unchanged
  }
}

/** An integer that a double does not hold, such as a time in nanoseconds, becomes a bigint. */
function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source ?? "";
  const isLong = typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d{1,19}$/.test(source);
  return isLong && BigInt.asIntN(64, BigInt(source)) === BigInt(source) ? BigInt(source) : value;
}

function toText(value: unknown): string {
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "bigint") return String(value);
  return JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? String(item) : item));
}
