import { limits } from "./limits.ts";
import { quoted } from "./quoted.ts";
import type { RareFields, UnreadableBounds } from "./rare-fields.ts";
import type { RecordFields } from "./record-fields.ts";
import { rareStringFields } from "./string-fields.ts";
import { textFault } from "./text-fault.ts";

/**
 * Why a record cannot be stored: the field, its problem, and the limit; the first fault in the order of
 * log.proto. `undefined` for a good record, which is decided without allocating.
 */
export function recordFault(text: DataView, record: RecordFields): string | undefined {
  const { rare } = record;
  if (rare?.unreadable !== undefined) return unreadableFault(text, rare.unreadable);
  if (record.severity < 0 || record.severity > limits.severityMax) {
    return `severity is ${record.severity}, it must be from 0 to ${limits.severityMax}`;
  }
  const logger = textFault(text, record.loggerStart, record.loggerEnd, limits.loggerBytesMax);
  if (logger !== undefined) return `logger ${logger}`;
  const message = textFault(text, record.messageStart, record.messageEnd, limits.messageBytesMax);
  if (message !== undefined) return `message ${message}`;
  return attributesFault(text, record) ?? (rare && rareFault(text, rare));
}

function rareFault(text: DataView, rare: RareFields): string | undefined {
  for (const field of rareStringFields) {
    const check = field.isId ? idFault : textFault;
    const fault = check(text, rare.startOf(field), rare.endOf(field), field.bytesMax);
    if (fault !== undefined) return `${field.name} ${fault}`;
  }
  return undefined;
}

function idFault(_: DataView, start: number, end: number, bytes: number): string | undefined {
  const length = end - start;
  return length === 0 || length === bytes ? undefined : `is ${length} bytes long, expected ${bytes}, or none`;
}

function attributesFault(text: DataView, record: RecordFields): string | undefined {
  const { attributeCount, attributeBounds: bounds } = record;
  if (attributeCount > limits.attributesMax) {
    return `attributes has ${attributeCount} entries, the limit is ${limits.attributesMax}`;
  }
  for (let at = 0; at < 4 * attributeCount; at += 4) {
    const keyStart = bounds[at]!;
    const keyEnd = bounds[at + 1]!;
    if (keyStart === keyEnd) return `attributes: entry ${at / 4} has no name`;
    const key = textFault(text, keyStart, keyEnd, limits.attributeKeyBytesMax);
    if (key !== undefined) return `attributes: the name of entry ${at / 4} ${key}`;
    const value = textFault(text, bounds[at + 2]!, bounds[at + 3]!, limits.attributeValueBytesMax);
    if (value === undefined) continue;
    const name = Buffer.from(text.buffer, text.byteOffset + keyStart, keyEnd - keyStart);
    return `attributes[${quoted(name)}] ${value}`;
  }
  return undefined;
}

/** In the words of the server that could not read it. */
function unreadableFault(text: DataView, { reasonStart, reasonEnd }: UnreadableBounds): string {
  const fault = textFault(text, reasonStart, reasonEnd, limits.unreadableReasonBytesMax);
  if (fault !== undefined) return `unreadable.reason ${fault}`;
  const reason = Buffer.from(text.buffer, text.byteOffset + reasonStart, reasonEnd - reasonStart).toString();
  return reason === "" ? "unreadable: no reason is given" : reason;
}
