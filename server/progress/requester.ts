import type { Redis } from "ioredis";
import type { Logger } from "#lib/logger.ts";
import { Counter, type Registry } from "#lib/metrics.ts";
import { encodeRequests, type ProgressRequest, sessionKeyText } from "#stream/session-progress.ts";

export interface SessionQuestionsParts {
  readonly redis: Pick<Redis, "spublish">;
  readonly shards: number;
  readonly registry: Registry;
  readonly logger: Logger;
}

/** Questions in one message; a consumer answers as many by one query. */
const togetherMax = 200;
/** Questions waiting for this turn of the event loop to end. What is beyond is dropped; whoever asks asks again. */
const waitingMax = 10_000;

/** Asks the consumers about sessions; those of one turn of the event loop leave together. Answers come as news. */
export class SessionQuestions {
  readonly #parts: SessionQuestionsParts;
  readonly #waiting = new Map<string, ProgressRequest>();
  readonly #asked: Counter<"type">;

  constructor(parts: SessionQuestionsParts) {
    this.#parts = parts;
    this.#asked = new Counter({
      name: "fleetlog_progress_requests_total",
      help: "Requests to consumers about sessions: their progress (progress) or all stored ranges (ranges)",
      labelNames: ["type"],
      registers: [parts.registry],
    });
  }

  ask(question: ProgressRequest): void {
    if (this.#waiting.size >= waitingMax) return;
    if (this.#waiting.size === 0) setImmediate(() => this.#send());
    this.#waiting.set(`${sessionKeyText(question)} ${question.withRanges}`, question);
    this.#asked.inc({ type: question.withRanges ? "ranges" : "progress" });
  }

  #send(): void {
    const { redis, shards, logger } = this.#parts;
    const questions = [...this.#waiting.values()];
    this.#waiting.clear();
    for (let at = 0; at < questions.length; at += togetherMax) {
      for (const [channel, message] of encodeRequests(questions.slice(at, at + togetherMax), shards)) {
        redis
          .spublish(channel, message)
          .catch((error: unknown) =>
            logger.debug({ err: error }, "could not request session progress, retrying"),
          );
      }
    }
  }
}
