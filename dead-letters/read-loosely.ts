import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { type StringFieldName, stringFields } from "#batch/string-fields.ts";

/** The texts of a record as bytes, whatever is in them. */
export interface LooseRecord {
  timeUnixNano: bigint;
  severity: number;
  uptimeNano: bigint;
  observedTimeUnixNano: bigint;
  strings: Map<StringFieldName, Uint8Array>;
  attributes: LooseAttribute[];
  /** The bytes ended in the middle of a field: what was left of it was taken. */
  isCut: boolean;
}

export interface LooseAttribute {
  name: Uint8Array;
  /** A text as bytes. */
  value: LooseValue;
}

export type LooseValue = Uint8Array | boolean | bigint | number | null;

/** Reads an encoded LogRecord whose end may be missing. Throws when it is no protobuf. */
export function readLoosely(bytes: Uint8Array): LooseRecord {
  const record: LooseRecord = {
    timeUnixNano: 0n,
    severity: 0,
    uptimeNano: 0n,
    observedTimeUnixNano: 0n,
    strings: new Map(),
    attributes: [],
    isCut: false,
  };
  const reader = new BinaryReader(bytes);
  const rest = () => {
    const size = reader.uint32();
    const end = Math.min(reader.pos + size, reader.len);
    record.isCut ||= end < reader.pos + size;
    const found = bytes.subarray(reader.pos, end);
    reader.pos = end;
    return found;
  };
  while (reader.pos < reader.len && !record.isCut) {
    const [field, type] = reader.tag();
    const string = stringFields.find(({ number }) => number === field);
    if (field === 1 && type === WireType.Bit64) record.timeUnixNano = BigInt(reader.fixed64());
    else if (field === 10 && type === WireType.Bit64) record.uptimeNano = BigInt(reader.fixed64());
    else if (field === 12 && type === WireType.Bit64) record.observedTimeUnixNano = BigInt(reader.fixed64());
    else if (field === 2 && type === WireType.Varint) record.severity = reader.int32();
    else if (string && type === WireType.LengthDelimited) record.strings.set(string.localName, rest());
    else if (field === 5 && type === WireType.LengthDelimited) {
      const entry = rest();
      if (!record.isCut) record.attributes.push(readAttribute(entry));
    } else if (type === WireType.LengthDelimited) rest();
    else reader.skip(type, field);
  }
  return record;
}

function readAttribute(bytes: Uint8Array): LooseAttribute {
  const attribute: LooseAttribute = { name: new Uint8Array(), value: null };
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.LengthDelimited) attribute.name = reader.bytes();
    else if (field === 2 && type === WireType.LengthDelimited) attribute.value = reader.bytes();
    else if (field === 3 && type === WireType.Varint) attribute.value = reader.bool();
    else if (field === 4 && type === WireType.Varint) attribute.value = BigInt(reader.sint64());
    else if (field === 5 && type === WireType.Bit64) attribute.value = reader.double();
    else reader.skip(type, field);
  }
  return attribute;
}
