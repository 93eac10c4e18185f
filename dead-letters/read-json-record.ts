import { readSeverity, readTime } from "#batch/json/json-numbers.ts";
import { readId } from "#batch/json/read-id.ts";
import { type StringFieldName, stringFields } from "#batch/string-fields.ts";
import type { LooseRecord } from "./read-loosely.ts";

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
    strings: new Map<StringFieldName, Uint8Array>(),
    attributes: [] as { name: Uint8Array; value: Uint8Array }[],
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
    if (key === "timeUnixNano" || key === "time_unix_nano") {
      if (readTime(text, 0, text.length, wide))
        record.timeUnixNano = (BigInt(wide.high) << 32n) | BigInt(wide.low);
      else repairs.push(`time_unix_nano: was ${text.toString().slice(0, 40)}`);
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
    } else if (key === "attributes" && typeof value === "object" && !Array.isArray(value)) {
      for (const [name, attribute] of Object.entries(value)) {
        if (attribute === null) continue;
        if (typeof attribute === "object")
          repairs.push(`attributes[${JSON.stringify(name)}]: was not a string`);
        record.attributes.push({ name: Buffer.from(name), value: Buffer.from(toText(attribute)) });
      }
    } else {
      repairs.push(`${key.slice(0, 40)}: is removed`);
    }
  }
  return record;
}

function parseObject(json: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(json).toString());
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // unchanged
  }
}

function toText(value: unknown): string {
  return typeof value === "string" ? value.toWellFormed() : JSON.stringify(value);
}
