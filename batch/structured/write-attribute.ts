import { jsonKind } from "../json/json-kind.ts";
import type { WireWriter } from "../json/wire-writer.ts";
import { recordTags } from "../log-tags.ts";
import { wireType } from "../wire-reader.ts";
import type { Leaf } from "./structured-record.ts";

/** Fields of Attribute with their wire types. */
const tags = {
  key: 1 * 8 + wireType.bytes,
  string: 2 * 8 + wireType.bytes,
  bool: 3 * 8 + wireType.varint,
  int: 4 * 8 + wireType.varint,
  double: 5 * 8 + wireType.fixed64,
} as const;

/** Tags, lengths and a number, rounded up. */
const besideBytesMax = 48;
const intMin = -(2n ** 63n);
const intMax = 2n ** 63n - 1n;
const double = new DataView(new ArrayBuffer(8));

/** Writes a leaf as an attribute of its type; an array or object is the text of its JSON. */
export function writeAttribute(writer: WireWriter, bytes: Buffer, leaf: Leaf): void {
  const key = Buffer.from(leaf.path);
  const bytesMax = key.length + leaf.end - leaf.start + besideBytesMax;
  const start = writer.open(recordTags.attributes, bytesMax);
  writer.field(tags.key, key);
  if (leaf.kind === jsonKind.number) writeNumber(writer, bytes.toString("latin1", leaf.start, leaf.end));
  else if (leaf.kind === jsonKind.true || leaf.kind === jsonKind.false) {
    writer.varint(tags.bool);
    writer.varint(leaf.kind === jsonKind.true ? 1 : 0);
  } else writer.text(tags.string, { bytes }, leaf);
  writer.close(start, bytesMax);
}

/** An integer as it is written, also beyond 2^53; anything else is the double that it names. */
function writeNumber(writer: WireWriter, text: string): void {
  const integer = /^-?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
  if (integer !== undefined && integer >= intMin && integer <= intMax) {
    const zigzag = integer < 0n ? -2n * integer - 1n : 2n * integer;
    writer.varint(tags.int);
    writer.varint64(Number(zigzag >> 32n), Number(zigzag & 0xffff_ffffn));
    return;
  }
  const value = Number(text);
  if (!Number.isFinite(value)) {
    writer.field(tags.string, Buffer.from(text)); // 1e999: no double, but a text
    return;
  }
  double.setFloat64(0, value);
  writer.varint(tags.double);
  writer.fixed64(double.getUint32(0), double.getUint32(4));
}
