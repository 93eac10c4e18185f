import type { TermSet } from "#search/term-set.ts";
import type { AttributeList } from "./attribute-list.ts";
import { decodeAttributes, decodeValue } from "./attribute-value.ts";
import { attributeTags } from "./log-tags.ts";
import type { RecordFields } from "./record-fields.ts";
import type { ScannedBatch } from "./scan.ts";
import { rareStringFields } from "./string-fields.ts";

// What records can be searched for: message, logger, attributes and trace. The text of a value that is no text is that of
// its JSON value as readers get it.

const traceId = rareStringFields.find(({ localName }) => localName === "traceId")!;

export function addRecordTerms(terms: TermSet, bytes: Buffer, record: RecordFields): void {
  terms.addText(bytes, record.messageStart, record.messageEnd);
  terms.addLogger(bytes, record.loggerStart, record.loggerEnd);
  if (record.attributes.count > 0) addAttributes(terms, bytes, record.attributes);
  if (record.rare === undefined) return;
  const [start, end] = [record.rare.startOf(traceId), record.rare.endOf(traceId)];
  if (end > start) terms.addTraceId(bytes, start, end);
}

/** Records have the attributes of their batch too. */
export function addBatchTerms(terms: TermSet, { bytes, attributes }: ScannedBatch): void {
  if (attributes === undefined) return;
  for (const [name, value] of Object.entries(decodeAttributes(bytes, attributes))) {
    const [nameBytes, valueBytes] = [Buffer.from(name), Buffer.from(String(value))];
    terms.addAttributeName(nameBytes, 0, nameBytes.length);
    terms.addAttribute(nameBytes, 0, nameBytes.length, valueBytes, 0, valueBytes.length);
  }
}

function addAttributes(terms: TermSet, bytes: Buffer, { count, bounds, valueTags }: AttributeList): void {
  for (let index = 0; index < count; index++) {
    const at = 4 * index;
    const [nameStart, nameEnd] = [bounds[at]!, bounds[at + 1]!];
    const [valueStart, valueEnd] = [bounds[at + 2]!, bounds[at + 3]!];
    terms.addAttributeName(bytes, nameStart, nameEnd);
    const tag = valueTags[index]!;
    if (tag === attributeTags.stringValue) {
      terms.addAttribute(bytes, nameStart, nameEnd, bytes, valueStart, valueEnd);
    } else {
      const value = Buffer.from(String(decodeValue(bytes, tag, valueStart, valueEnd)));
      terms.addAttribute(bytes, nameStart, nameEnd, value, 0, value.length);
    }
  }
}
