import { InvalidBatchError } from "#batch/invalid-batch.ts";
import {
  findField,
  shortText,
  skippedNull,
  textBytes,
  wrongKind,
  wrongValue,
} from "#batch/json/json-fields.ts";
import { jsonKind } from "#batch/json/json-kind.ts";
import { readSeverity, readWhole, type Wide } from "#batch/json/json-numbers.ts";
import { JsonReader } from "#batch/json/json-reader.ts";
import { WireWriter } from "#batch/json/wire-writer.ts";
import { otlpLimits } from "../limits.ts";
import { exportRequest, type Field, type Message } from "./messages.ts";

/** Three objects and arrays for each level of a value, and those around it; deeper values reject their record alone. */
const depthMax = 10 * otlpLimits.depthMax;
/** Of 16 MiB, one for each 8 bytes. */
const valuesMax = 2_000_000;

/** An empty message is three characters in JSON, with its comma, and five bytes here. */
const writer = new WireWriter(2 * otlpLimits.requestBytesMax);
const wide: Wide = { high: 0, low: 0 };
const hexDigits = /^[0-9a-fA-F]*$/;
const base64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/**
 * Writes a request in OTLP's JSON as protobuf, in one walk over the bytes and without an object for any of its parts.
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 *
 * Ids are hex, 64-bit numbers are strings or numbers, unknown fields are ignored. Throws InvalidBatchError for what is
 * no such request: it names the field.
 */
export function readOtlpJson(json: Uint8Array): Buffer {
  const reader = new JsonReader(json, valuesMax, depthMax);
  writer.position = 0;
  if (json.length > otlpLimits.requestBytesMax) {
    const limit = otlpLimits.requestBytesMax;
    throw new InvalidBatchError("request", `is ${json.length} bytes of JSON, the limit is ${limit}`);
  }
  readMessage(reader, exportRequest, "request");
  reader.finish();
  return Buffer.from(writer.bytes.subarray(0, writer.position));
}

/** Its depth is bounded by the reader's. */
function readMessage(reader: JsonReader, message: Message, path: string): void {
  if (reader.kind() !== jsonKind.object) throw wrongKind(reader, path, "an object");
  reader.enter();
  for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) {
    const place = findField(message.names, reader);
    if (place === undefined) reader.skip(reader.kind());
    else if (!skippedNull(reader)) readField(reader, message.fields[place]!);
  }
}

function readField(reader: JsonReader, field: Field): void {
  const { kind, name, tag } = field;
  if (kind === "message") readNested(reader, field);
  else if (kind === "messages") {
    if (reader.kind() !== jsonKind.array) throw wrongKind(reader, name, "an array");
    reader.enter();
    for (let isFirst = true; reader.nextElement(isFirst); isFirst = false) readNested(reader, field);
  } else if (kind === "bool") readBool(reader, field);
  else if (kind === "string" || kind === "hex" || kind === "base64") {
    if (reader.kind() !== jsonKind.string) throw wrongKind(reader, name, "a string");
    reader.string();
    if (reader.start === reader.end && !field.isOneof) return;
    if (kind === "string") writer.text(tag, reader, reader);
    else readBytes(reader, field);
  } else readNumber(reader, field);
}

/** Lengths have four bytes, so that what is written need not be moved once its length is known. */
function readNested(reader: JsonReader, field: Field): void {
  writer.varint(field.tag);
  const start = writer.position + 4;
  writer.position = start;
  readMessage(reader, field.message(), field.name);
  const length = writer.position - start;
  writer.bytes[start - 4] = (length & 0x7f) | 0x80;
  writer.bytes[start - 3] = ((length >>> 7) & 0x7f) | 0x80;
  writer.bytes[start - 2] = ((length >>> 14) & 0x7f) | 0x80;
  writer.bytes[start - 1] = length >>> 21;
}

function readBytes(reader: JsonReader, { name, kind, tag }: Field): void {
  const start = reader.start - 1;
  const text = textBytes(reader).toString("latin1");
  const isHex = kind === "hex";
  if (!(isHex ? hexDigits : base64).test(text) || (isHex && text.length % 2 === 1)) {
    throw wrongValue(reader, start, name, isHex ? "hex digits" : "base64");
  }
  writer.field(tag, Buffer.from(text, isHex ? "hex" : "base64"));
}

function readBool(reader: JsonReader, { name, tag }: Field): void {
  const kind = reader.kind();
  if (kind !== jsonKind.true && kind !== jsonKind.false) throw wrongKind(reader, name, "true or false");
  reader.skip(kind);
  writer.varint(tag);
  writer.varint(kind === jsonKind.true ? 1 : 0);
}

function readNumber(reader: JsonReader, { name, kind: fieldKind, tag, isOneof }: Field): void {
  const kind = reader.kind();
  const start = reader.position;
  if (kind !== jsonKind.string && kind !== jsonKind.number) throw wrongKind(reader, name, forms[fieldKind]!);
  reader.skip(kind);
  const text = shortText(reader.bytes, reader);
  const isRead = parsers[fieldKind]!(text.bytes, text.start, text.end);
  if (!isRead) throw wrongValue(reader, start, name, forms[fieldKind]!);
  if (wide.low === 0 && wide.high === 0 && !isOneof) return;
  writer.varint(tag);
  if ((tag & 7) === 1) writer.fixed64(wide.high, wide.low);
  else if ((tag & 7) === 5) writer.bytes.writeUInt32LE(wide.low, (writer.position += 4) - 4);
  else writer.varint64(wide.high, wide.low);
}

const forms: Readonly<Partial<Record<Field["kind"], string>>> = {
  int64: "an integer of 64 bits",
  uint32: "an integer from 0 to 4294967295",
  fixed32: "an integer from 0 to 4294967295",
  fixed64: "nanoseconds since 1970, as a string or number",
  double: "a number",
  severity: "an integer",
};

/** Each reads a text into `wide`; false when it is of another form. */
const parsers: Readonly<
  Partial<Record<Field["kind"], (bytes: Buffer, start: number, end: number) => boolean>>
> = {
  int64: readInt64,
  uint32: (bytes, start, end) => readWhole(bytes, start, end, wide) && wide.high === 0,
  fixed32: (bytes, start, end) => readWhole(bytes, start, end, wide) && wide.high === 0,
  fixed64: (bytes, start, end) => readWhole(bytes, start, end, wide),
  double: readDouble,
  severity: readSeverityNumber,
};

function readInt64(bytes: Buffer, start: number, end: number): boolean {
  const isNegative = bytes[start] === 0x2d;
  if (!readWhole(bytes, isNegative ? start + 1 : start, end, wide)) return false;
  const isTooLarge = isNegative
    ? wide.high > 0x8000_0000 || (wide.high === 0x8000_0000 && wide.low > 0)
    : wide.high >= 0x8000_0000;
  if (isTooLarge) return false;
  if (isNegative) {
    const low = -wide.low >>> 0;
    wide.high = (~wide.high + (low === 0 ? 1 : 0)) >>> 0;
    wide.low = low;
  }
  return true;
}

const numberForm = /^(-?\d+(\.\d+)?([eE][+-]?\d+)?|NaN|-?Infinity)$/;
const view = new DataView(new ArrayBuffer(8));

function readDouble(bytes: Buffer, start: number, end: number): boolean {
  const text = bytes.toString("latin1", start, Math.min(end, start + 400));
  if (!numberForm.test(text)) return false;
  view.setFloat64(0, Number(text));
  wide.high = view.getUint32(0);
  wide.low = view.getUint32(4);
  return true;
}

/** OTLP has numbers only; names as protobuf's JSON has them are taken too. */
function readSeverityNumber(bytes: Buffer, start: number, end: number): boolean {
  const prefix = "SEVERITY_NUMBER_";
  const hasPrefix = bytes.toString("latin1", start, start + prefix.length) === prefix;
  const number = readSeverity(bytes, hasPrefix ? start + prefix.length : start, end, wide);
  if (number === undefined) return false;
  wide.high = number < 0 ? 0xffff_ffff : 0;
  wide.low = number >>> 0;
  return true;
}
