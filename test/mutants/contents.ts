import { caughtBy, type Mutant } from "./mutant.ts";

/** In what the bytes of a batch mean. */
export const contentMutants: readonly Mutant[] = [
  ...caughtBy("batch/identity.test.ts", "batch/attribute-list.ts", [
    {
      name: "repeated-name-canonical",
      title:
        "a record with a name twice side by side counts as canonical, and is another one without the first",
      search: "if (order <= 0) reader.isCanonical = false;",
      replacement: "if (order < 0) reader.isCanonical = false;",
    },
  ]),
  ...caughtBy("batch/identity.test.ts", "batch/attribute-value.ts", [
    {
      name: "minus-zero-differs",
      title: "a batch with -0 is another one than that with 0, though both are stored as 0",
      search: "Number.isNaN(value) ? Number.NaN : value + 0",
      replacement: "Number.isNaN(value) ? Number.NaN : value",
    },
  ]),
  ...caughtBy("batch/identity.test.ts", "batch/canonical-form.ts", [
    {
      name: "batch-attributes-in-no-digest",
      title: "batches that differ in their own attributes alone are one batch, in some encodings",
      search:
        "if (attributes !== undefined) writeAttributes(writer, batchTags.attributes, bytes, attributes);",
      replacement: "",
    },
  ]),
  ...caughtBy("batch/cut-text.test.ts", "batch/cut-text.ts", [
    {
      name: "any-bytes-are-cut",
      title: "whatever is not UTF-8 counts as a text that was cut",
      search: "if (this.#areRejected || firstBadByte(bytes, from, to) < to) return false;",
      replacement: "if (this.#areRejected) return false;",
    },
  ]),
  ...caughtBy("batch/fidelity.test.ts", "batch/json-bytes.ts", [
    {
      name: "bare-infinity",
      title: "an infinity is written as a number of JSON, which PostgreSQL refuses",
      search: 'return Number.isFinite(value) ? String(value) : `"${value}"`;',
      replacement: "return String(value);",
    },
  ]),
  ...caughtBy("batch/copy-rows.test.ts", "batch/record-columns.ts", [
    {
      name: "gaps-closed",
      title: "records behind a rejected one have the index of the one before",
      search: "this.#lastIndex - this.#firstIndex + 1 > count",
      replacement: "this.#lastIndex - this.#firstIndex + 1 < count",
    },
    {
      name: "rows-of-any-size",
      title: "a row holds as many bytes as a batch",
      search: "return this.#count > 0 && this.#wireBytes + size > rowLimits.bytesMax;",
      replacement: "return false;",
    },
  ]),
  ...caughtBy("batch/fidelity.test.ts", "batch/record-columns.ts", [
    {
      name: "rare-values-moved-up",
      title: "what few records have is stored with the first records of the row",
      search: "      column.padTo(place);\n      column.addBytes(bytes, start, end);",
      replacement: "      column.addBytes(bytes, start, end);",
    },
    {
      name: "attributes-moved-up",
      title: "the attributes of a record are stored with the one before, if that has none",
      search: "      this.#attributes.padTo(place);\n",
      replacement: "",
    },
  ]),
  ...caughtBy("consumer/tables/batch-attributes.test.ts", "consumer/received-batch.ts", [
    {
      name: "cut-texts-by-default",
      title: "the consumer repairs cut texts, whatever the server of the entry did",
      search: "const scanned = scan(entry.batch, entry);",
      replacement: "const scanned = scan(entry.batch);",
    },
  ]),
  ...caughtBy("batch/record-time.test.ts", "batch/record-time.ts", [
    {
      name: "estimates-in-the-future",
      title: "an uptime above that of its request dates a record after its reception",
      search: "Math.min(Math.max(0, micros), this.#reception.receivedAtMicros)",
      replacement: "Math.max(0, micros)",
    },
    {
      name: "any-boot-counts",
      title: "a boot after the reception counts as the time of a clock",
      search: "micros >= 0 && micros <= receivedAtMicros ? micros : undefined",
      replacement: "micros >= 0 ? micros : undefined",
    },
    {
      name: "distances-lost",
      title: "records with an uptime alone all get the time of reception",
      search: "receivedAtMicros - (this.#uptimeMaxMicros - uptime)",
      replacement: "receivedAtMicros",
    },
  ]),
];
