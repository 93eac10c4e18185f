import type { Mutant } from "./mutant.ts";

/** In what stands before the stream, and in how the stream is kept. */
export const ingestMutants: readonly Mutant[] = [
  {
    name: "one-epoch-for-all-copies",
    title: "an epoch is what the data says, so that an older copy of it has the same",
    edits: [
      { file: "stream/epoch.ts", search: ".update(`${process} ${epoch}`)", replacement: ".update(epoch)" },
    ],
    caughtBy: { test: "server/health/older-redis.test.ts" },
  },
  {
    name: "appends-forgotten",
    title: "servers do not remember what they appended",
    edits: [
      {
        file: "server/create-server.ts",
        search: "onAppended: (shard, id, entry) => appends.add(shard, id, entry),",
        replacement: "",
      },
    ],
    caughtBy: { row: "redis-older-copy" },
  },
  {
    name: "ack-before-xadd",
    title: "the server acknowledges before Redis has answered",
    edits: [
      {
        file: "server/ingest.ts",
        search: "await this.#appender.append(entry);",
        replacement: "this.#appender.append(entry).catch(() => {});",
      },
    ],
    caughtBy: { row: "cut-xadd" },
  },
  {
    name: "unchecked-append",
    title: "an append that Redis refuses counts as done",
    edits: [{ file: "stream/append.ts", search: "throw refusal(error);", replacement: "refusal(error);" }],
    caughtBy: { row: "redis-full", runs: 3 },
  },
  {
    name: "maxlen",
    title: "appends bound the stream by MAXLEN",
    edits: [{ file: "stream/append-command.ts", search: '"*",', replacement: '"MAXLEN", "50", "*",' }],
    caughtBy: { row: "postgres-away" },
  },
  {
    name: "group-at-end",
    title: "a group that was lost is made again at $",
    edits: [
      {
        file: "stream/groups.ts",
        search: 'groupName, "0", "MKSTREAM"',
        replacement: 'groupName, "$", "MKSTREAM"',
      },
    ],
    caughtBy: { row: "group-destroyed", runs: 5 },
  },
  {
    name: "digest-of-bytes",
    title: "the digest is taken over the bytes, not over what they mean",
    edits: [
      {
        file: "batch/scan.ts",
        search: "isCanonical: reader.isCanonical && rejections.length === 0,",
        replacement: "isCanonical: true,",
      },
    ],
    caughtBy: { row: "kill-server", runs: 2 },
  },
  {
    name: "long-acks",
    title: "an ack lists every rejection, whatever room the device has",
    edits: [{ file: "server/ack.ts", search: "if (bytesLeft < 0) break;", replacement: "" }],
    caughtBy: { test: "server/small-responses.test.ts" },
  },
  {
    name: "long-errors",
    title: "an error is as long as its texts make it",
    edits: [
      {
        file: "server/fit-refusal.ts",
        search: "bytesOf(built) <= responseBytesMax ||",
        replacement: "",
      },
      { file: "server/fit-refusal.ts", search: "messageBytesMax <= messageBytesMin", replacement: "true" },
    ],
    caughtBy: { test: "server/fit-refusal.test.ts" },
  },
  {
    name: "invented-limit",
    title: "GetLimits returns another limit than the one that is enforced",
    edits: [
      { file: "server/get-limits.ts", search: "...limits,", replacement: "...limits, loggerBytesMax: 255," },
    ],
    caughtBy: { test: "server/get-limits.test.ts" },
  },
  {
    name: "unnamed-session",
    title: "a sender without state does not learn which session its batch got",
    edits: [
      {
        file: "server/grpc/encode-response.ts",
        search: 'if (assignedSession !== "") writer.uint32(0x3a).string(assignedSession);',
        replacement: "",
      },
    ],
    caughtBy: { test: "server/small-responses.test.ts" },
  },
  {
    name: "digest-with-time",
    title: "the digest covers more than the batch that was sent",
    edits: [
      {
        file: "server/ingest.ts",
        search: "const content = digest(scanned);",
        replacement:
          "const content = digest({ ...scanned, isCanonical: true, bytes: Buffer.from(String(Date.now())) });",
      },
    ],
    caughtBy: { row: "lost-xadd-reply", runs: 2 },
  },
  {
    name: "forgotten-cursor",
    title: "XAUTOCLAIM begins from the start at every call",
    edits: [
      {
        file: "stream/reclaim.ts",
        search: 'this.#cursors.set(shard, next.toString("latin1"));',
        replacement: 'this.#cursors.set(shard, next.length > 0 ? "0-0" : "");',
      },
    ],
    caughtBy: { test: "stream/reclaim.test.ts" },
  },
  {
    name: "trimmed-while-pending",
    title: "the stream is trimmed without regard to what is pending",
    edits: [
      {
        file: "stream/group-info.ts",
        search: "return oldestPending !== null && compareIds(oldestPending, lastDeliveredId) < 0",
        replacement: "return oldestPending !== null && false",
      },
    ],
    caughtBy: { test: "stream/trim.test.ts" },
  },
  {
    name: "committed-when-accepted",
    title: "what is on disk in Redis is reported as committed",
    edits: [
      {
        file: "server/progress/subscriptions.ts",
        search: "        watched.expected = sequence;\n",
        replacement: `        watched.expected = sequence;
        watched.committed = sequence;
        for (const listener of watched.listeners) listener();
`,
      },
    ],
    caughtBy: { row: "flushall-committed", runs: 2 },
  },
  {
    name: "unsafe-redis-accepted",
    title: "Redis's settings are never checked",
    edits: [
      {
        file: "stream/safety.ts",
        search:
          "return [...violations(await readSettings(redis), settings), ...violations(await readState(redis), state)];",
        replacement: "return [];",
      },
    ],
    caughtBy: { row: "unsafe-setting" },
  },
  {
    name: "malformed-entry-ignored",
    title: "a malformed entry is left where it is",
    edits: [
      {
        file: "stream/delivery.ts",
        search: "into.malformed.push({ shard, id, error, fields });",
        replacement: "void error;",
      },
    ],
    caughtBy: { row: "malformed-entries" },
  },
];
