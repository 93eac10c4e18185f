import type { Mutant } from "./mutant.ts";

/** In what stands behind the stream. */
export const storingMutants: readonly Mutant[] = [
  {
    name: "older-copy-unnoticed",
    title: "a stream with the epoch that was seen is taken for the one that was seen",
    edits: [
      {
        file: "consumer/maintenance/stream-history.ts",
        search: "if (now.epoch === seen.epoch)",
        replacement: "if (now.epoch === seen.epoch) return undefined;\n    if (now.epoch === seen.epoch)",
      },
    ],
    caughtBy: { test: "consumer/maintenance/stream-history.test.ts" },
  },
  {
    name: "lost-stream-is-a-lost-group",
    title: "whatever takes the group away counts as a group that was destroyed",
    edits: [
      {
        file: "consumer/maintenance/stream-history.ts",
        search: '? "stream_lost" : "group_lost"',
        replacement: '? "group_lost" : "group_lost"',
      },
    ],
    caughtBy: { row: "redis-data-lost" },
  },
  {
    name: "lag-believed",
    title: "the backlog is what Redis reports as lag, also after a restart",
    edits: [
      { file: "stream/backlog.ts", search: "if isVerified and lag and lag <= length", replacement: "if lag" },
      {
        file: "stream/backlog.ts",
        search: "elseif length > 0 and isAfter(stream['last-entry'][1], last) then",
        replacement: "else",
      },
    ],
    caughtBy: { row: "redis-rewritten" },
  },
  {
    name: "xack-before-commit",
    title: "the consumer acknowledges before COMMIT",
    edits: [
      {
        file: "consumer/consume/consumer.ts",
        search: "const observe = metrics.flushSeconds.startTimer();",
        replacement:
          "const observe = metrics.flushSeconds.startTimer();\n    await this.#acknowledge(flush.positions);",
      },
    ],
    caughtBy: { row: "kill-consumer-before-commit", runs: 3 },
  },
  {
    name: "highest-sequence",
    title: "whatever is below a session's highest sequence counts as a retry",
    edits: [
      {
        file: "consumer/tables/batches.ts",
        search: "      from candidates\n      order by",
        replacement: `      from candidates
      where not exists (
        select from batches stored where stored.device_key = candidates.device_key
          and stored.session_id = candidates.session_id and stored.sequence >= candidates.sequence
      )
      order by`,
      },
    ],
    caughtBy: { row: "sent-again" },
  },
  {
    name: "key-within-the-day",
    title: "the ledger's key holds within one day, as it would in a partitioned table",
    edits: [
      {
        file: "postgres/migrations/0001-ledger.sql",
        search: ",\n  unique (device_key, session_id, sequence, digest)\n)",
        replacement: "\n)",
      },
      {
        file: "postgres/migrations/0001-ledger.sql",
        search: "create index batches_of_device on batches",
        // 90596966400000 = milliseconds of a day << 20: the day of an id.
        replacement:
          "create unique index on batches (device_key, session_id, sequence, digest, (id / 90596966400000));\ncreate index batches_of_device on batches",
      },
      {
        file: "consumer/tables/batches.ts",
        search: "on conflict (device_key, session_id, sequence, digest) do nothing",
        replacement: "on conflict do nothing",
      },
    ],
    caughtBy: { row: "midnight" },
  },
  {
    name: "asynchronous-commit",
    title: "PostgreSQL answers a COMMIT before it is on disk",
    edits: [
      {
        file: "consumer/main.ts",
        search: `synchronous_commit: "on"`,
        replacement: 'synchronous_commit: "off"',
      },
    ],
    caughtBy: { row: "kill-postgres", runs: 5 },
  },
  {
    name: "outage-makes-dead-letters",
    title: "three failed attempts make a dead letter, whatever the cause",
    edits: [
      {
        file: "consumer/flush/store-with-retry.ts",
        search: 'import type { Backoff } from "#lib/backoff.ts";',
        replacement: 'import { DatabaseError } from "pg";\nimport type { Backoff } from "#lib/backoff.ts";',
      },
      {
        file: "consumer/flush/store-with-retry.ts",
        search: "        metrics.retries.inc({ class: sqlStateClass(error) });\n",
        replacement: `        metrics.retries.inc({ class: sqlStateClass(error) });
        if (failures === 3 && !deadLetter) {
          throw Object.assign(new DatabaseError("gave up", 0, "error"), { code: "22000" });
        }
`,
      },
      {
        file: "consumer/flush/store-with-retry.ts",
        search: "  isFinalAfterWait: (error: unknown) => boolean = never,\n",
        replacement: "  isFinalAfterWait: (error: unknown) => boolean = never,\n  deadLetter = false,\n",
      },
      {
        file: "consumer/flush/store-with-retry.ts",
        search: "canSplit ? isTimeout : undefined);",
        replacement: "canSplit ? isTimeout : undefined, flush.deadLetters.length > 0);",
      },
    ],
    caughtBy: { row: "postgres-away" },
  },
  {
    name: "text-copy",
    title: "rows are sent as text, and what text cannot hold is replaced",
    edits: [
      {
        file: "consumer/tables/records.ts",
        search: 'import type { CopyRows } from "#batch/copy-rows.ts";',
        replacement: `import type { CopyRows } from "#batch/copy-rows.ts";
import { readCopy } from "#batch/testing/read-copy.ts";`,
      },
      {
        file: "consumer/tables/records.ts",
        search: "const bytes = rows.finish();",
        replacement: `const plain = (text: string) =>
    '{"' + text.replaceAll("\\\\", "/").replaceAll("\\n", " ").replaceAll("\\r", " ").replaceAll("\\t", " ").replaceAll('"', "'") + '"}';
  const lines = readCopy(rows.finish()).map((row) => [
    row.batchId, row.idx, plain(new Date(Number(row.timeMicros) / 1000).toISOString()), "{" + row.severity + "}",
    plain(row.logger), plain(row.message),
  ].join("\\t") + "\\n");
  const bytes = Buffer.from(lines.join(""));`,
      },
      {
        file: "consumer/tables/records.ts",
        search: "copyFrom(copyStatement)",
        replacement: 'copyFrom(copyStatement.replace(/, attributes.*/, ") from stdin"))',
      },
      {
        file: "consumer/tables/records.ts",
        search: "stream.rowCount !== rows.rowCount",
        replacement: "stream.rowCount !== rows.recordCount",
      },
    ],
    caughtBy: { row: "sent-again" },
  },
  {
    name: "terms-of-ascii-alone",
    title: "the messages of a search summary are folded as if all their characters were ASCII",
    edits: [
      { file: "search/term-set.ts", search: "if (byte > 0x7f) {", replacement: "if (byte > 0xff) {" },
      {
        file: "search/term-set.ts",
        search: "lowerCase[byte]!) & 0xff_ffff",
        replacement: "(lowerCase[byte] ?? byte)) & 0xff_ffff",
      },
    ],
    caughtBy: { test: "search/search.test.ts" },
  },
  {
    name: "summary-beside-the-flush",
    title: "search summaries are stored by a connection of their own",
    edits: [
      {
        file: "consumer/flush/transaction.ts",
        search: "await insertSummaries(db, this.#rows.summary.finish());",
        replacement:
          "const summaries = this.#rows.summary.finish();\n      await withSession(this.#pool, (other) => insertSummaries(other.db, summaries));",
      },
    ],
    caughtBy: { test: "consumer/tables/summaries.test.ts" },
  },
  {
    name: "day-of-a-summary-ruled-out",
    title: "a day with a search summary has one for all its batches",
    edits: [
      {
        file: "gateway/logs/skipped-batches.ts",
        search: "firstId: firstId < known.firstId ? firstId : known.firstId,",
        replacement: "firstId: day * idsPerDay,",
      },
    ],
    caughtBy: { test: "gateway/logs/skipped-batches.test.ts" },
  },
  {
    name: "summary-across-the-bound",
    title: "a search summary that is not read reaches into none that is",
    edits: [
      {
        file: "gateway/logs/skipped-batches.ts",
        search: "within(day, unreadEnd, endId)",
        replacement: "within(day, unreadEnd - summaryIdsMax, endId)",
      },
    ],
    caughtBy: { test: "gateway/logs/skipped-batches.test.ts" },
  },
];
