import { caughtBy, type Mutant } from "./mutant.ts";

/** In what watches streams, backlogs and Redis, and in what removes what is old. */
export const progressMutants: readonly Mutant[] = [
  ...caughtBy("stream/epoch.test.ts", "stream/epoch.ts", [
    {
      name: "epoch-without-run-id",
      title: "a Redis that was started again is the same process",
      search: "string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')",
      replacement: "string.match('run_id:always', 'run_id:(%w+)')",
    },
    {
      name: "ids-step-back",
      title: "a Redis whose clock is behind gives ids again",
      search: "redis.pcall('XSETID', key, ARGV[3])",
      replacement: "redis.pcall('XLEN', key)",
    },
  ]),
  ...caughtBy("stream/backlog.test.ts", "stream/backlog.ts", [
    {
      name: "backlog-without-pending",
      title: "what a consumer holds is no backlog",
      search: "total + undelivered[bound] + pending",
      replacement: "total + undelivered[bound] + 0 * pending",
    },
  ]),
  ...caughtBy("stream/append.test.ts", "stream/append.ts", [
    {
      name: "append-room-kept",
      title: "bytes that were appended count as in flight forever",
      search: "      this.#inFlightBytes -= entry.batch.length;\n",
      replacement: "",
    },
  ]),
  ...caughtBy("stream/read-size.test.ts", "stream/read-size.ts", [
    {
      name: "read-bytes-of-each-stream",
      title: "each stream may bring all the bytes of a read",
      search: "this.#bytesMax / this.#averageBytes / streams",
      replacement: "this.#bytesMax / this.#averageBytes / Math.min(1, streams)",
    },
  ]),
  ...caughtBy("stream/unconfirmed.test.ts", "stream/unconfirmed.ts", [
    {
      name: "oldest-reports-kept",
      title: "of too many reports of what may be lost the newest are dropped",
      search: "-partsMax, -1)",
      replacement: "0, partsMax - 1)",
    },
    {
      name: "forgotten-in-every-part",
      title: "what a server no longer remembers is counted once for each part of its report",
      search: "from === 0 ? forgottenCount : 0",
      replacement: "forgottenCount",
    },
  ]),
  ...caughtBy("consumer/maintenance/stream.test.ts", "consumer/maintenance/stream.ts", [
    {
      name: "reclaim-of-one-piece",
      title: "a round takes over one piece of what is left behind",
      search: "} while (!reclaimer.isAtStart && !signal.aborted);",
      replacement: "} while (signal.aborted);",
    },
    {
      name: "reclaim-without-room",
      title: "entries are taken over however many flushes wait",
      search: "    await consumer.waitForCapacity();\n",
      replacement: "",
    },
    {
      name: "age-in-milliseconds",
      title: "the age of the oldest entry is exported in milliseconds",
      search: "oldestAgeMs / 1000",
      replacement: "oldestAgeMs",
    },
  ]),
  ...caughtBy("consumer/maintenance/stream-history.test.ts", "consumer/maintenance/stream-history.ts", [
    {
      name: "marked-before-reported",
      title: "a loss that could not be written is never reported",
      search: "      const changes = await this.#compare(before, positions);\n",
      replacement:
        "      const changes = await this.#compare(before, positions);\n" +
        "      for (const position of positions) this.#written.set(position.shard, JSON.stringify(position));\n",
    },
  ]),
  ...caughtBy("consumer/maintenance/retention.test.ts", "consumer/maintenance/retention.ts", [
    {
      name: "retention-waits-for-locks",
      title: "retention waits for rows that a flush holds",
      search: " for update skip locked",
      replacement: " for update",
    },
  ]),
  ...caughtBy("server/streams/open-streams.test.ts", "server/streams/open-streams.ts", [
    {
      name: "heartbeats-on-busy-streams",
      title: "a stream on which acks go out gets signs of life as well",
      search: "else if (stream.consumeActivityFlag()) state.quietSince = checkedBefore;\n",
      replacement: "\n",
    },
  ]),
  ...caughtBy("server/progress/report-committed.test.ts", "server/streams/ingest-stream.ts", [
    {
      name: "watch-kept",
      title: "a session is watched after its last stream has gone",
      search: "    this.#report?.close();\n",
      replacement: "",
    },
  ]),
];
