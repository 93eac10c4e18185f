import { limits } from "#batch/limits.ts";
import { syslogSeverities } from "#batch/structured/severity-field.ts";
import { type TimeContext, timeFormats } from "#client/lines/time-formats.ts";
import type { DeviceRecord } from "#client/stream/record.ts";
import { toStorableText } from "./storable-text.ts";
import { readStructuredData } from "./structured-data.ts";

/** A message of RFC 5424 or 3164 as a record. */
export interface SyslogMessage {
  /** As the sender names itself; undefined: it does not. */
  readonly hostname: string | undefined;
  readonly record: DeviceRecord;
}

type Attributes = Record<string, string | number | boolean>;

/** By number, from 0. */
const facilities =
  "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock local0 local1 local2 local3 local4 local5 local6 local7".split(
    " ",
  );
/** The severities that have no number of their own in OpenTelemetry's six degrees. */
const severityTexts: Readonly<Record<number, string>> = { 0: "emerg", 1: "alert", 2: "crit", 5: "notice" };

const priorityForm = /^<(\d{1,3})>/;
/** RFC 5424 allows 255 characters at most in one of these. */
const version1 = /^1 (\S{1,600}) (\S{1,600}) (\S{1,600}) (\S{1,600}) (\S{1,600}) /;
/** Those that senders of RFC 3164 use: with a year or without, or as RFC 5424 does. */
const legacyFormats = timeFormats.filter(({ name }) =>
  ["Nov 27 17:01:02", "2026-11-27T17:01:02", "Nov 27 2026 17:01:02"].includes(name),
);
const headCharactersMax = 3_072;
/** The others are the facility, those that the header may need, and those of the agent. */
const paramsMax = limits.attributesMax - 8;
const tagForm = /^([\w./@+-]{1,64})(?:\[([\w.-]{1,64})\])?: ?/;
/** A name or an address. What ends with a colon is a tag. */
const hostForm = /^([A-Za-z0-9._:-]{0,254}[A-Za-z0-9._-]) +(?=\S)/;

/**
 * Reads one message. Everything is a message, and a record that the server accepts: of what has another form, or none,
 * the part that is not understood is the text of the record. Where a text is another than the sender's, because it is
 * not UTF-8 or is too long, the record has the attribute `is_text_repaired`. `zone` is that of times without one.
 */
export function readSyslogMessage(bytes: Buffer, context: TimeContext): SyslogMessage {
  const whole = withoutEnd(bytes);
  // One byte is one character, so that positions in the text are those in the bytes.
  const head = whole.toString("latin1", 0, headCharactersMax);
  const priority = Number(priorityForm.exec(head)?.[1] ?? Number.NaN);
  // RFC 3164: without a priority, user.notice.
  const isKnown = priority <= 191;
  const code = isKnown ? priority % 8 : 5;
  const attributes: Attributes = { facility: facilities[isKnown ? priority >> 3 : 1]! };
  const from = isKnown ? head.indexOf(">") + 1 : 0;
  const rest = { whole, head: head.slice(from), from, attributes, context };
  const { hostname, ...fields } = readVersion1(rest) ?? readLegacy(rest);
  const severityText = severityTexts[code];
  return {
    hostname,
    record: {
      severity: syslogSeverities[code]!,
      ...(severityText && { severityText }),
      ...fields,
      attributes,
    },
  };
}

interface Rest {
  readonly whole: Buffer;
  /** The text behind the priority, which begins at `from`. */
  readonly head: string;
  readonly from: number;
  readonly attributes: Attributes;
  readonly context: TimeContext;
}

type Fields = Omit<DeviceRecord, "attributes"> & { readonly hostname: string | undefined };

/** RFC 5424; undefined when it is none. */
function readVersion1({ whole, head, from, attributes, context }: Rest): Fields | undefined {
  const match = version1.exec(head);
  if (match === null) return undefined;
  const [header, timestamp = "", hostname = "", appName = "", processId = "", messageId = ""] = match;
  const time = readTime(timestamp, context);
  // Any other word: a text that begins with 1.
  if (time === undefined && !/^(?:-$|\d{4}-\d\d-\d\dT)/.test(timestamp)) return undefined;
  // A time that does not exist, or in a year that no record can have.
  if (time === undefined) addPresent(attributes, "timestamp", timestamp);
  addProcess(attributes, processId);
  const logger = present(attributes, appName, limits.loggerBytesMax);
  const eventName = present(attributes, messageId, limits.eventNameBytesMax);
  return {
    hostname: present(attributes, hostname, limits.attributeValueBytesMax),
    ...(time !== undefined && { timeUnixNano: time.timeUnixNano }),
    ...(logger !== undefined && { logger }),
    ...(eventName !== undefined && { eventName }),
    message: readText(
      attributes,
      readParams(attributes, whole, from + header.length),
      limits.messageBytesMax,
    ),
  };
}

/**
 * Makes attributes of the structured data, and returns the text behind it. Data that is malformed, or of which the
 * attributes cannot hold a part, stays before the text.
 */
function readParams(attributes: Attributes, whole: Buffer, start: number): Buffer {
  const data = readStructuredData(whole, start, paramsMax);
  if (data === undefined) return whole.subarray(start);
  let isHeld = !data.hasMore;
  for (const [name, value] of data.params) {
    const isShort =
      name.length <= limits.attributeKeyBytesMax && value.length <= limits.attributeValueBytesMax;
    const key = isShort ? readText(attributes, name, limits.attributeKeyBytesMax) : undefined;
    if (key !== undefined && !Object.hasOwn(attributes, key))
      attributes[key] = readText(attributes, value, limits.attributeValueBytesMax);
    else isHeld = false;
  }
  return isHeld ? withoutMark(withoutSpace(whole.subarray(data.end + 1))) : whole.subarray(start);
}

/** RFC 3164, or what is left of it: time, host and tag are all optional. */
function readLegacy({ whole, head, from, attributes, context }: Rest): Fields {
  const time = readTime(head, context);
  let at = time?.end ?? 0;
  if (time !== undefined) at += /^:? */.exec(head.slice(at))![0].length;
  // Without a time there is no host either: the first word would be one of the text.
  const host = time === undefined ? null : hostForm.exec(head.slice(at));
  at += host?.[0].length ?? 0;
  const tag = tagForm.exec(head.slice(at));
  at += tag?.[0].length ?? 0;
  if (tag?.[2] !== undefined) addProcess(attributes, tag[2]);
  return {
    hostname: host?.[1],
    ...(time !== undefined && { timeUnixNano: time.timeUnixNano }),
    ...(tag?.[1] !== undefined && { logger: tag[1] }),
    message: readText(attributes, whole.subarray(from + at), limits.messageBytesMax),
  };
}

function readTime(head: string, context: TimeContext) {
  for (const format of legacyFormats) {
    const time = format.read(head, context);
    if (time !== undefined) return time;
  }
  return undefined;
}

/** A text of the header in Latin-1; undefined: it is nil. */
function present(attributes: Attributes, field: string, bytesMax: number): string | undefined {
  return field === "-" ? undefined : readText(attributes, Buffer.from(field, "latin1"), bytesMax);
}

function addPresent(attributes: Attributes, name: string, field: string): void {
  const text = present(attributes, field, limits.attributeValueBytesMax);
  if (text !== undefined) attributes[name] = text;
}

function addProcess(attributes: Attributes, id: string): void {
  if (/^\d{1,15}$/.test(id)) attributes["process_id"] = Number(id);
  else addPresent(attributes, "process_id", id);
}

function readText(attributes: Attributes, bytes: Buffer, bytesMax: number): string {
  const { text, isRepaired } = toStorableText(bytes, bytesMax);
  if (isRepaired) attributes["is_text_repaired"] = true;
  return text;
}

/** Without the newline or NUL that ends a message in some framings, and only there. */
function withoutEnd(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d || bytes[end - 1] === 0)) end -= 1;
  return bytes.subarray(0, end);
}

/** rsyslog keeps the space behind the tag that a message had as RFC 3164. */
function withoutSpace(text: Buffer): Buffer {
  return text[0] === 0x20 ? text.subarray(1) : text;
}

/** RFC 5424 marks text in UTF-8. */
function withoutMark(text: Buffer): Buffer {
  return text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf ? text.subarray(3) : text;
}
