import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { AttributeFields } from "./attribute-fields.ts";
import { attributeTags, recordTags } from "./log-tags.ts";
import { stringFields } from "./string-fields.ts";
import { firstBadByte, remainsAtEnd, remainsAtStart } from "./utf8.ts";
import { WireReader } from "./wire-reader.ts";

/*
 * Shippers cut texts at a number of bytes. One that begins or ends inside a character is stored with U+FFFD in place of
 * the remains; all else that is not UTF-8 is rejected. Limits and digests are about the bytes as they were sent.
 */

/** Decides about texts that are not UTF-8, and remembers whether one was only cut. */
export class CutTexts {
  wasFound = false;
  readonly #areRejected: boolean;

  constructor(areRejected: boolean) {
    this.#areRejected = areRejected;
  }

  /** Whether bytes[start, end) is a text that was cut inside a character, at either end, and is taken. */
  accept(bytes: DataView, start: number, end: number): boolean {
    const [from, to] = whole(bytes, start, end);
    if (this.#areRejected || firstBadByte(bytes, from, to) < to) return false;
    this.wasFound = true;
    return true;
  }
}

/** What of bytes[start, end) are whole characters, if it is a text that was accepted. */
function whole(bytes: DataView, start: number, end: number): [from: number, to: number] {
  const from = start + remainsAtStart(bytes, start, end);
  return [from, end - remainsAtEnd(bytes, from, end)];
}

const replacement = "\uFFFD";

/** A text that was accepted, as it is stored. */
export function decodeText(bytes: Buffer, start: number, end: number): string {
  const [from, to] = whole(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), start, end);
  const text = bytes.toString("utf8", from, to);
  if (from === start && to === end) return text;
  return (from > start ? replacement : "") + text + (to < end ? replacement : "");
}

const textTags = new Set(stringFields.filter(({ isId }) => !isId).map(({ tag }) => tag));

/** The encoded LogRecord in bytes[start, end), which was accepted, with every text as it is stored. */
export function repairTexts(bytes: Buffer, start: number, end: number): Buffer {
  const reader = new WireReader(bytes);
  reader.position = start;
  reader.end = end;
  const writer = new BinaryWriter();
  const attribute = new AttributeFields();
  const writeText = (tag: number, start: number, end: number) =>
    writer.uint32(tag).string(decodeText(bytes, start, end));
  while (reader.position < end) {
    const fieldStart = reader.position;
    const tag = reader.tag();
    if (textTags.has(tag)) {
      const size = reader.size();
      writeText(tag, reader.position, (reader.position += size));
      continue;
    }
    if (tag === recordTags.attributes) attribute.read(reader, reader.size());
    else reader.skip(tag);
    if (tag === recordTags.attributes && attribute.valueTag === attributeTags.stringValue) {
      writer.uint32(tag).fork();
      writeText(attributeTags.key, attribute.keyStart, attribute.keyEnd);
      writeText(attributeTags.stringValue, attribute.valueStart, attribute.valueEnd);
      writer.join();
    } else {
      writer.raw(bytes.subarray(fieldStart, reader.position));
    }
  }
  return Buffer.from(writer.finish());
}
