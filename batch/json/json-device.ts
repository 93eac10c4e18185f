import { deviceInfoTexts } from "../device-info.ts";
import { deviceInfoTags } from "../log-tags.ts";
import type { FieldFault } from "../record-fault.ts";
import { FieldNames } from "./field-names.ts";
import { JsonAttributes } from "./json-attributes.ts";
import { findField, shownValue } from "./json-fields.ts";
import { jsonKind } from "./json-kind.ts";
import type { JsonReader } from "./json-reader.ts";
import type { JsonText, WireWriter } from "./wire-writer.ts";

const attributesField = deviceInfoTexts.length;
const names = new FieldNames<number>({
  ...Object.fromEntries(deviceInfoTexts.map((name, index) => [name, index])),
  attributes: attributesField,
});

/** Tags and lengths, rounded up. */
const besideTextsMax = 40;

/** A DeviceInfo in JSON. */
export class JsonDevice {
  /** Keys that log.proto does not have. */
  unknownFields = 0;
  #fault: FieldFault | undefined;
  readonly #texts = deviceInfoTexts.map((): JsonText => ({ start: 0, end: 0, isPlain: true }));
  readonly #attributes = new JsonAttributes();

  /** Reads the value that begins at the reader's position, in place of what was read before; returns its first fault. */
  read(reader: JsonReader): FieldFault | undefined {
    this.unknownFields = 0;
    this.#fault = undefined;
    this.#attributes.clear();
    for (const text of this.#texts) text.end = text.start;
    const kind = reader.kind();
    if (kind !== jsonKind.object) {
      const start = reader.position;
      reader.skip(kind);
      return invalid(reader, "batch.device", start, "an object");
    }
    reader.enter();
    for (let isFirst = true; reader.nextKey(isFirst); isFirst = false) {
      const found = findField(names, reader);
      if (found === attributesField) {
        this.#attributes.read(reader);
        this.unknownFields += this.#attributes.unknownFields;
      } else this.#readText(reader, found);
    }
    return this.#fault ?? this.#attributes.fault(reader, "batch.device.attributes");
  }

  write(writer: WireWriter, reader: JsonReader, tag: number): void {
    const bytesMax = this.#texts.reduce(
      (sum, { start, end }) => sum + end - start,
      this.#attributes.bytesMax,
    );
    const content = writer.open(tag, bytesMax + besideTextsMax);
    for (const [index, text] of this.#texts.entries()) {
      if (text.end > text.start) writer.text(deviceInfoTags[deviceInfoTexts[index]!], reader, text);
    }
    this.#attributes.write(writer, reader, deviceInfoTags.attributes);
    writer.close(content, bytesMax + besideTextsMax);
  }

  #readText(reader: JsonReader, index: number | undefined): void {
    const kind = reader.kind();
    const start = reader.position;
    reader.skip(kind);
    if (index === undefined) {
      this.unknownFields += 1;
      return;
    }
    const text = this.#texts[index]!;
    const isText = kind === jsonKind.string;
    [text.start, text.end, text.isPlain] = isText ? [reader.start, reader.end, reader.isPlain] : [0, 0, true];
    if (isText || kind === jsonKind.null) return;
    this.#fault ??= invalid(reader, `batch.device.${deviceInfoTexts[index]!}`, start, "a string");
  }
}

function invalid(reader: JsonReader, field: string, start: number, wanted: string): FieldFault {
  return { field, problem: `is ${shownValue(reader.bytes, start, reader.position)}, expected ${wanted}` };
}
