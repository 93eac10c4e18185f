import { caughtBy, type Mutant } from "./mutant.ts";

/** In bounds, and in what is given back or forgotten when something ends. */
export const boundMutants: readonly Mutant[] = [
  ...caughtBy("consumer/maintenance/dating.test.ts", "consumer/maintenance/dating.ts", [
    {
      name: "dated-without-statistics",
      title: "log_statistics keeps the minutes of records that were dated anew",
      search: "await changeStatistics(transaction, changes);",
      replacement: "",
    },
    {
      name: "other-sources-forgotten",
      title: "dating anew forgets how the times of the other records of a batch are known",
      search: "          else flags end order by place) as flags",
      replacement: "          else null end order by place) as flags",
    },
    {
      name: "session-never-finished",
      title: "a session that was dated stays marked, and no other one is dated",
      search: "await finishSession(db, session);",
      replacement: "return;",
    },
    {
      name: "negative-statistics",
      title: "dating anew takes records away from a minute that retention removed",
      search: "where change > 0 or exists (",
      replacement: "where true or exists (",
    },
  ]),
  ...caughtBy("consumer/tables/device-info.test.ts", "postgres/migrations/0008-device-info.sql", [
    {
      name: "late-info-is-the-latest",
      title: "what a late batch says of its device ends what was said before and after it",
      search: "if before.last_received_at > at then",
      replacement: "if false then",
    },
  ]),
  ...caughtBy("batch/read-sequence.test.ts", "batch/read-sequence.ts", [
    {
      name: "sequence-sought-for-ever",
      title: "the sequence of a refused batch is sought behind any number of fields",
      search: "&& fields < fieldsMax",
      replacement: "&& fields < fieldsMax * 1e6",
    },
  ]),
  ...caughtBy("batch/read-sequence.test.ts", "batch/wire-reader.ts", [
    {
      name: "any-unknown-fields",
      title: "a batch may have any number of unknown fields",
      search: "++this.#skipped > skippedMax",
      replacement: "++this.#skipped > skippedMax * 1e6",
    },
  ]),
  ...caughtBy("batch/dropped.test.ts", "batch/dropped.ts", [
    {
      name: "one-dropped-less",
      title: "a declaration of as many batches as the limit says is refused",
      search: "if (count > limits.droppedBatchesMax)",
      replacement: "if (count >= limits.droppedBatchesMax)",
    },
  ]),
  ...caughtBy("batch/record-statistics.test.ts", "batch/record-statistics.ts", [
    {
      name: "minute-of-the-flush-before",
      title: "records of the minute that the flush before ended with are not counted",
      search: "    this.#minute = Number.NaN;\n  }",
      replacement: "  }",
    },
  ]),
  ...caughtBy("server/decompressor.test.ts", "server/decompressor.ts", [
    {
      name: "turn-kept",
      title: "who has unpacked keeps the turn",
      search: "      if (next === undefined) this.#decompressing -= 1;\n      else next();\n",
      replacement: "      next?.();\n",
    },
    {
      name: "any-number-waits",
      title: "any number of messages waits to be unpacked",
      search: "this.#waiting.length >= waitingMax",
      replacement: "this.#waiting.length >= waitingMax * 1e6",
    },
  ]),
  ...caughtBy("server/progress/lookups.test.ts", "server/progress/lookups.ts", [
    {
      name: "answered-asked-again",
      title: "a question that was answered is put again, until it is given up",
      search: "      clearInterval(timer);\n",
      replacement: "",
    },
  ]),
  ...caughtBy("server/progress/requester.test.ts", "server/progress/requester.ts", [
    {
      name: "any-number-of-questions",
      title: "any number of questions waits for the end of a turn",
      search: "    if (this.#waiting.size >= waitingMax) return;\n",
      replacement: "",
    },
    {
      name: "questions-cut",
      title: "one question of every message is never put",
      search: "requests.slice(at, at + sessionsPerMessageMax)",
      replacement: "requests.slice(at, at + sessionsPerMessageMax - 1)",
    },
  ]),
  ...caughtBy("server/progress/subscriptions.test.ts", "server/progress/subscriptions.ts", [
    {
      name: "asked-as-often-for-ever",
      title: "a session without an answer is requested every 2 s forever",
      search: "Math.min(session.pauseMs * 2, pauseMs.max)",
      replacement: "Math.min(session.pauseMs, pauseMs.max)",
    },
  ]),
  ...caughtBy("server/streams/open-streams.test.ts", "server/streams/open-streams.ts", [
    {
      name: "all-streams-end",
      title: "with another epoch of one shard all streams end",
      search: "[...this.#streams.keys()].filter((stream) => stream.isOutdated)",
      replacement: "[...this.#streams.keys()]",
    },
    {
      name: "outdated-later",
      title: "a stream that asks for progress after the epoch has changed reports the old one forever",
      search: 'if (stream.isOutdated) void this.#end(stream, "epoch");\n      else if (state',
      replacement: "if (state",
    },
  ]),
  ...caughtBy("consumer/progress/publisher.test.ts", "consumer/progress/publisher.ts", [
    {
      name: "any-number-to-answer",
      title: "any number of questions waits for an answer",
      search: "      if (this.#waiting.size >= requestsWaitingMax) break;\n",
      replacement: "",
    },
    {
      name: "never-answering-again",
      title: "after one failure of PostgreSQL no question is answered",
      search: "    } finally {\n      this.#answering = false;\n    }",
      replacement: "    }",
    },
  ]),
  ...caughtBy("gateway/fairness/semaphore.test.ts", "gateway/fairness/semaphore.ts", [
    {
      name: "turn-counted-as-refusal",
      title: "whose turn came is counted as refused later",
      search: "      clearTimeout(timer);\n",
      replacement: "",
    },
  ]),
  ...caughtBy("gateway/tail/tail-logs.test.ts", "gateway/tail/tail-logs.ts", [
    {
      name: "heartbeat-put-off",
      title: "a live tail puts its heartbeat off whenever a batch arrives, matching or not",
      search: "tail.wait(heartbeatAtMs - performance.now(), signal)",
      replacement: "tail.wait((heartbeatAtMs = performance.now() + heartbeatMs) && heartbeatMs, signal)",
    },
  ]),
  ...caughtBy("test/sql.test.ts", "postgres/migrations/0009-logs-for-sql.sql", [
    {
      name: "range-without-last-batches",
      title: "logs_between leaves out the batches that end after the range",
      search: "last_time < to_time + interval '10 minutes'",
      replacement: "last_time < to_time",
    },
  ]),
  ...caughtBy("gateway/logs/attributes.test.ts", "gateway/logs/stored-block.ts", [
    {
      name: "batch-attributes-unmeasured",
      title: "a page counts the attributes of batches for nothing, and has any size",
      search: "message + Math.max(own, 0) + this.batch.attributesSize",
      replacement: "message + Math.max(own, 0)",
    },
  ]),
  ...caughtBy("gateway/logs/match-logs.test.ts", "gateway/logs/stored-block.ts", [
    {
      name: "replaced-attribute-inherited",
      title: "a record has its batch's attribute, though its own replaces it",
      search: "return hasAttribute(this.attributes(place), attribute);",
      replacement: "return ofBatch || hasAttribute(this.attributes(place), attribute);",
    },
  ]),
  ...caughtBy("gateway/logs/folded-text.test.ts", "gateway/logs/folded-text.ts", [
    {
      name: "kelvin-sign-unseen",
      title: "a search for a k passes by the messages that have a Kelvin sign",
      search: "lower.includes(capitalIWithDot) || lower.includes(kelvinSign)",
      replacement: "lower.includes(capitalIWithDot)",
    },
  ]),
  ...caughtBy("postgres/binary-rows.test.ts", "postgres/binary-rows.ts", [
    {
      name: "rows-hold-the-loop",
      title: "rows of a scan hold the event loop as long as they keep coming",
      search: "if (this.#busyMs > turnMsMax) this.#stream.pause();",
      replacement: "",
    },
  ]),
  ...caughtBy("gateway/logs/scan-logs.test.ts", "gateway/logs/scan-logs.ts", [
    {
      name: "part-passes-for-all",
      title: "counts of a part of the records claim to be of all",
      search: "return { recordsRead, isComplete: false };",
      replacement: "return { recordsRead, isComplete: true };",
    },
  ]),
  ...caughtBy("gateway/tail/tail-logs.test.ts", "gateway/tail/tail-logs.ts", [
    {
      name: "piece-passes-batch",
      title: "a piece of a batch has the resume token behind it: a call that resumes loses the rest",
      search: "sent < news.logs.length ? before : at",
      replacement: "sent < 0 ? before : at",
    },
  ]),
  ...caughtBy("gateway/http/cors.test.ts", "gateway/http/gateway-server.ts", [
    {
      name: "refused-host-without-cors",
      title: "a page of an allowed origin cannot read why its host is refused",
      search: ", ...cors.headers(request) }",
      replacement: " }",
    },
  ]),
  ...caughtBy("gateway/http/manners.test.ts", "rpc/send-error.ts", [
    {
      name: "head-without-length",
      title: "an error to HEAD has no content-length",
      search: 'if (body !== "") response.setHeader("content-length"',
      replacement: 'if (body === undefined) response.setHeader("content-length"',
    },
  ]),
  ...caughtBy("gateway/cache/cache-interceptor.test.ts", "gateway/cache/cache-interceptor.ts", [
    {
      name: "cached-without-method",
      title: "two methods with the same request share an answer in the cache",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of the source
      search: "with its time ${method}",
      replacement: "with its time",
    },
  ]),
];
