import { create } from "@bufbuild/protobuf";
import { limits } from "#batch/limits.ts";
import { stringValues } from "#batch/string-fields.ts";
import type { AllFields } from "#proto/all-fields.ts";
import { type AttributeValue, createAttributes } from "#proto/attributes.ts";
import { type LogRecord, LogRecordSchema, type Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { LooseJsonRecord } from "./read-json-record.ts";
import { readLoosely } from "./read-loosely.ts";

/** The attributes that a repaired record gets in addition to its own. */
export const marks = {
  /** dead_letters.id */
  deadLetter: "fleetlog.dead_letter",
  /** Its origin: session, sequence and index in the batch. */
  origin: "fleetlog.origin",
  /** The changes, one sentence each. */
  repairs: "fleetlog.repairs",
} as const;

export interface RepairedRecord {
  readonly record: LogRecord;
  /** The changes; empty when none was needed. */
  readonly repairs: readonly string[];
}

/**
 * Makes a record storable that was refused: what is not UTF-8, and NUL, becomes U+FFFD; what is too long is cut at its
 * limit; a severity that does not exist becomes 0, an uptime that cannot be is left out; attributes beyond those that fit beside the marks are left out. A
 * record without a time gets that at which a collector saw it, or at which it was received. Takes an encoded LogRecord, or what was read of one in JSON.
 * Throws when the bytes are no record at all.
 */
export function repairRecord(
  sent: Uint8Array | LooseJsonRecord,
  receivedAtMicros: number,
  marked: { readonly deadLetter: string; readonly origin: string },
): RepairedRecord {
  const loose = "repairs" in sent ? sent : readLoosely(sent);
  const repairs: string[] = "repairs" in sent ? [...sent.repairs] : [];
  if (loose.isCut && "length" in sent) repairs.push(`only the first ${sent.length} bytes were kept`);
  const repaired = (what: string, text: Uint8Array, bytesMax: number) => {
    const { fit, why } = repairText(text, bytesMax);
    if (why !== "") repairs.push(`${what}: ${why}`);
    return fit;
  };
  const hasSeverity = loose.severity >= 0 && loose.severity <= limits.severityMax;
  if (!hasSeverity) repairs.push(`severity: was ${loose.severity}`);
  // Without a prototype, because a device may name an attribute "__proto__".
  const attributes = Object.create(null) as Record<string, AttributeValue>;
  const attributesMax = limits.attributesMax - Object.keys(marks).length;
  const kept = loose.attributes.filter(({ name }) => name.length > 0);
  if (kept.length < loose.attributes.length) {
    repairs.push(`attributes: ${loose.attributes.length - kept.length} without a name are removed`);
  }
  if (kept.length > attributesMax)
    repairs.push(`attributes: ${kept.length - attributesMax} of ${kept.length} are removed`);
  for (const { name, value } of kept.slice(0, attributesMax)) {
    const key = repaired("attributes: a name", name, limits.attributeKeyBytesMax);
    const isText = value instanceof Uint8Array;
    const what = `attributes[${JSON.stringify(key)}]`;
    attributes[key] = isText ? repaired(what, value, limits.attributeValueBytesMax) : value;
  }
  const strings = stringValues(({ localName, name, bytesMax, isId }) => {
    const sent = loose.strings.get(localName) ?? none;
    if (!isId) return repaired(name, sent, bytesMax);
    if (sent.length === 0 || sent.length === bytesMax) return sent;
    repairs.push(`${name}: ${sent.length} bytes, expected ${bytesMax}, are left out`);
    return none;
  });
  const hasUptime = loose.uptimeNano <= limits.uptimeNanoMax;
  if (!hasUptime) repairs.push(`uptime_nano: was ${loose.uptimeNano}`);
  attributes[marks.deadLetter] = marked.deadLetter;
  attributes[marks.origin] = marked.origin;
  if (repairs.length > 0) {
    const text = Buffer.from(repairs.join("; "));
    attributes[marks.repairs] = repairText(text, limits.attributeValueBytesMax).fit;
  }
  const { observedTimeUnixNano } = loose;
  const record = {
    timeUnixNano: loose.timeUnixNano || observedTimeUnixNano || BigInt(receivedAtMicros) * 1000n,
    severity: (hasSeverity ? loose.severity : 0) as Severity,
    ...strings,
    attributes: createAttributes(attributes),
    uptimeNano: hasUptime ? loose.uptimeNano : 0n,
    observedTimeUnixNano,
    unreadable: undefined,
  } satisfies AllFields<typeof LogRecordSchema>;
  return { record: create(LogRecordSchema, record), repairs };
}

const none = new Uint8Array();
const replacement = "\uFFFD";

function repairText(bytes: Uint8Array, bytesMax: number): { fit: string; why: string } {
  const why: string[] = [];
  const read = Buffer.from(bytes).toString();
  if (!Buffer.from(read).equals(bytes)) why.push("invalid UTF-8 is replaced");
  const text = read.replaceAll("\0", replacement);
  if (text !== read) why.push("NUL is replaced");
  const encoded = Buffer.from(text);
  if (encoded.length <= bytesMax) return { fit: text, why: why.join(", ") };
  why.push(`truncated from ${bytes.length} bytes`);
  let end = bytesMax;
  while (end > 0 && (encoded[end]! & 0xc0) === 0x80) end -= 1; // not within a character
  return { fit: encoded.toString("utf8", 0, end), why: why.join(", ") };
}
