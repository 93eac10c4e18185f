import { caughtBy, type Mutant } from "./mutant.ts";

/** In how the consumer puts flushes together and writes them. */
export const flushMutants: readonly Mutant[] = [
  ...caughtBy("consumer/flush/flush-buffer.test.ts", "consumer/flush/flush-buffer.ts", [
    {
      name: "flush-of-any-bytes",
      title: "a flush has no limit of bytes",
      search: " || this.#pending.bytes + bytes > bytesMax",
      replacement: " || bytes > Math.max(bytes, bytesMax)",
    },
    {
      name: "flush-over-its-records",
      title: "a flush is submitted after it exceeded its limit of records",
      search: "this.#pending.records + records > recordsMax",
      replacement: "this.#pending.records > recordsMax",
    },
    {
      name: "interval-of-another-flush",
      title: "a flush is submitted at the end of the interval of the previous one",
      search: "    clearTimeout(this.#timer);\n",
      replacement: "",
    },
  ]),
  ...caughtBy("consumer/flush/worker-pool.test.ts", "consumer/flush/worker-pool.ts", [
    {
      name: "room-for-any-flush",
      title: "there is capacity however many flushes wait for a worker",
      search: "this.#queue.onSizeLessThan(1)",
      replacement: "this.#queue.onSizeLessThan(1e9)",
    },
  ]),
  ...caughtBy("consumer/tables/dead-letters.test.ts", "consumer/flush/transaction.ts", [
    {
      name: "rate-spent-by-dry-run",
      title: "dead letters that were never committed count against the rate of their device",
      search: 'if (end === "commit") {',
      replacement: "{",
    },
  ]),
  ...caughtBy("consumer/tables/replayed-dead-letters.test.ts", "consumer/flush/transaction.ts", [
    {
      name: "replay-of-new-batches",
      title: "a dead letter whose batch the ledger had is never marked as replayed",
      search: "await markReplayed(db, batches, deviceKeys);",
      replacement: "await markReplayed(db, newBatches, deviceKeys);",
    },
  ]),
  ...caughtBy("consumer/tables/lock-order.test.ts", "consumer/tables/batches.ts", [
    {
      name: "ledger-in-any-order",
      title: "flushes enter batches into the ledger in the order in which they came",
      search: "      order by device_key, session_id, sequence, digest, position\n",
      replacement: "",
    },
  ]),
  ...caughtBy("consumer/tables/lock-order.test.ts", "consumer/tables/sessions.ts", [
    {
      name: "sessions-in-any-order",
      title: "flushes lock sessions in any order",
      search: "from added order by device_key, session_id",
      replacement: "from added",
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
  ...caughtBy("consumer/consume/source.test.ts", "consumer/consume/source.ts", [
    {
      name: "lost-answer-forgotten",
      title: "entries that Redis handed over in an answer that was lost are not asked for again",
      search: "        reader = newReader();\n        throw error;",
      replacement: "        throw error;",
    },
  ]),
  ...caughtBy("consumer/tables/clock-ahead.test.ts", "consumer/tables/incidents.ts", [
    {
      name: "last-clock-not-farthest",
      title: "a clock that is ahead is reported by the last batch, not by the one that is farthest ahead",
      search: "farthest.get(batch.deviceKey)?.aheadMicros ?? aheadMicrosMax",
      replacement: "aheadMicrosMax",
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
  ...caughtBy("consumer/flush/postgres-errors.test.ts", "consumer/flush/postgres-errors.ts", [
    {
      name: "second-rows-are-dead-letters",
      title: "a batch whose rows are there already, though it counted as new, is taken for bad data",
      search: 'table?.startsWith("record_batches")',
      replacement: 'table === "record_batches"',
    },
  ]),
  ...caughtBy("batch/record-time.test.ts", "batch/stored-time-range.ts", [
    {
      name: "last-time-of-timed-alone",
      title: "a record without a time is not within the times of its batch",
      search: "lastMicros: last > untimed.lastMicros ? last : untimed.lastMicros",
      replacement: "lastMicros: last",
    },
    {
      name: "first-time-of-timed-alone",
      title: "the times of a batch begin with the first that has one",
      search: "firstMicros: first < untimed.firstMicros ? first : untimed.firstMicros",
      replacement: "firstMicros: first",
    },
  ]),
];
