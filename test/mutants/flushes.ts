import { caughtBy, type Mutant } from "./mutant.ts";

/** In how the consumer puts flushes together and writes them. */
export const mutantsOfFlushes: readonly Mutant[] = [
  ...caughtBy("consumer/flush/flush-buffer.test.ts", "consumer/flush/flush-buffer.ts", [
    {
      name: "flush-of-any-bytes",
      title: "a flush has no bound of bytes",
      search: " || this.#pending.bytes + bytes > bytesMax",
      replacement: " || bytes > Math.max(bytes, bytesMax)",
    },
    {
      name: "flush-over-its-records",
      title: "a flush goes off after it passed its bound of records",
      search: "this.#pending.records + records > recordsMax",
      replacement: "this.#pending.records > recordsMax",
    },
  ]),
  ...caughtBy("consumer/flush/adaptive-limit.test.ts", "consumer/flush/adaptive-limit.ts", [
    {
      name: "flush-not-halved",
      title: "what was too slow is tried again in the same size",
      search: "flushWeight(flush) >> 1",
      replacement: "flushWeight(flush)",
    },
    {
      name: "flush-doubled",
      title: "after one success flushes are twice as large",
      search: "Math.ceil(this.#weightMax / 8)",
      replacement: "this.#weightMax",
    },
  ]),
  ...caughtBy("consumer/consume/consumer.test.ts", "consumer/consume/consumer.ts", [
    {
      name: "in-flight-for-ever",
      title: "an entry that was acknowledged still counts as in flight",
      search: "    for (const position of flush.positions) this.#inFlight.delete(positionKey(position));\n",
      replacement: "",
    },
  ]),
  ...caughtBy("consumer/tables/records.test.ts", "consumer/tables/records.ts", [
    {
      name: "copy-count-unchecked",
      title: "a COPY of which PostgreSQL stored fewer rows counts as done",
      search: "if (stream.rowCount !== rows.rowCount) {",
      replacement: "if (stream.rowCount === undefined) {",
    },
  ]),
  ...caughtBy("batch/stored-time-range.test.ts", "batch/stored-time-range.ts", [
    {
      name: "last-time-without-reception",
      title: "a record without a time is not within the times of its batch",
      search: "lastMicros: last > received ? last : received",
      replacement: "lastMicros: last",
    },
    {
      name: "first-time-without-reception",
      title: "the times of a batch begin with the first that has one",
      search: "firstMicros: first < received ? first : received",
      replacement: "firstMicros: first",
    },
  ]),
];
