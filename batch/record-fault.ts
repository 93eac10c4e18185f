import type { AttributeList } from "./attribute-list.ts";
import type { CutTexts } from "./cut-text.ts";
import { limits } from "./limits.ts";
import { attributeTags } from "./log-tags.ts";
import { quoted } from "./quoted.ts";
import type { RareFields, UnreadableBounds } from "./rare-fields.ts";
import type { RecordFields } from "./record-fields.ts";
import { rareStringFields } from "./string-fields.ts";
import { textFault } from "./text-fault.ts";

/**
 * Why a record cannot be stored: the field, its problem, and the limit; the first fault in the order of
 * log.proto. `undefined` for a good record, which is decided without allocating.
 */
export function recordFault(text: DataView, record: RecordFields, cuts: CutTexts): string | undefined {
  const { rare } = record;
  if (rare?.unreadable !== undefined) return unreadableFault(text, rare.unreadable);
  if (record.severity < 0 || record.severity > limits.severityMax) {
    return `severity is ${record.severity}, it must be from 0 to ${limits.severityMax}`;
  }
  const logger = textFault(text, record.loggerStart, record.loggerEnd, limits.loggerBytesMax, cuts);
  if (logger !== undefined) return `logger ${logger}`;
  const message = textFault(text, record.messageStart, record.messageEnd, limits.messageBytesMax, cuts);
  if (message !== undefined) return `message ${message}`;
  const attributes = attributesFault(text, record.attributes, "attributes", cuts);
  if (attributes !== undefined) return `${attributes.field} ${attributes.problem}`;
  return rare && rareFault(text, rare, cuts);
}

/** Of the limit all lower bits are set. */
const uptimeHighMax = Number(limits.uptimeNanoMax >> 32n);

function rareFault(text: DataView, rare: RareFields, cuts: CutTexts): string | undefined {
  if (rare.uptimeHigh >>> 0 > uptimeHighMax) {
    const uptime = (BigInt(rare.uptimeHigh >>> 0) << 32n) | BigInt(rare.uptimeLow >>> 0);
    return `uptime_nano is ${uptime}, the limit is ${limits.uptimeNanoMax}`;
  }
  for (const field of rareStringFields) {
    const [start, end] = [rare.startOf(field), rare.endOf(field)];
    const fault = field.isId
      ? idFault(end - start, field.bytesMax)
      : textFault(text, start, end, field.bytesMax, cuts);
    if (fault !== undefined) return `${field.name} ${fault}`;
  }
  return undefined;
}

function idFault(length: number, bytes: number): string | undefined {
  return length === 0 || length === bytes ? undefined : `is ${length} bytes long, expected ${bytes}, or none`;
}

/** A field that is invalid, and why, as the end of a sentence. */
export interface FieldFault {
  readonly field: string;
  readonly problem: string;
}

/** The first fault of the attributes in `field`, such as "batch.attributes". */
export function attributesFault(
  text: DataView,
  { count, bounds, valueTags }: AttributeList,
  field: string,
  cuts: CutTexts,
): FieldFault | undefined {
  if (count > limits.attributesMax) {
    return { field, problem: `has ${count} entries, the limit is ${limits.attributesMax}` };
  }
  for (let at = 0; at < 4 * count; at += 4) {
    const keyStart = bounds[at]!;
    const keyEnd = bounds[at + 1]!;
    if (keyStart === keyEnd) return { field: `${field}[${at / 4}]`, problem: "has no name" };
    const key = textFault(text, keyStart, keyEnd, limits.attributeKeyBytesMax);
    if (key !== undefined) return { field: `${field}[${at / 4}].key`, problem: key };
    if (valueTags[at >> 2] !== attributeTags.stringValue) continue;
    const value = textFault(text, bounds[at + 2]!, bounds[at + 3]!, limits.attributeValueBytesMax, cuts);
    if (value === undefined) continue;
    const name = Buffer.from(text.buffer, text.byteOffset + keyStart, keyEnd - keyStart);
    return { field: `${field}[${quoted(name)}]`, problem: value };
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
