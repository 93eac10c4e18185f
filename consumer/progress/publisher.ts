import type { Redis } from "ioredis";
import type { Kysely } from "kysely";
import type { Logger } from "#lib/logger.ts";
import type { Database } from "#postgres/tables.ts";
import {
  decodeQuestions,
  encodeProgress,
  keyOf,
  type Question,
  type SessionProgress,
  type SessionRanges,
} from "#stream/session-news.ts";
import { readSessions } from "../tables/sessions.ts";

export interface SessionAnswersParts {
  readonly db: Kysely<Database>;
  readonly redis: Pick<Redis, "spublish">;
  readonly shards: number;
  readonly logger: Logger;
}

/** Questions answered by one query. */
const togetherMax = 200;
/** Questions waiting; what is beyond is dropped, and asked again by whoever wants to know. */
const waitingMax = 10_000;

/** Tells servers how far sessions are committed: after each COMMIT, and when they ask. See stream/session-news.ts. */
export class SessionAnswers {
  readonly #parts: SessionAnswersParts;
  readonly #waiting = new Map<string, Question>();
  #answering = false;

  constructor(parts: SessionAnswersParts) {
    this.#parts = parts;
  }

  /** Call after COMMIT. Nobody waits for it: who misses it asks. */
  announce(sessions: readonly (SessionProgress | SessionRanges)[]): void {
    const { redis, shards, logger } = this.#parts;
    for (const [channel, message] of encodeProgress(sessions, shards)) {
      redis
        .spublish(channel, message)
        .catch((error: unknown) => logger.debug({ err: error }, "could not tell what is committed"));
    }
  }

  /** Takes the message of a server. Throws SyntaxError when it is none. */
  take(message: string): void {
    for (const question of decodeQuestions(message)) {
      if (this.#waiting.size >= waitingMax) break;
      const key = `${keyOf(question)} ${question.withRanges}`;
      this.#waiting.set(key, question);
    }
    if (!this.#answering) void this.#answer();
  }

  async #answer(): Promise<void> {
    this.#answering = true;
    try {
      while (this.#waiting.size > 0) {
        const together = [...this.#waiting].slice(0, togetherMax);
        for (const [key] of together) this.#waiting.delete(key);
        this.announce(
          await readSessions(
            this.#parts.db,
            together.map(([, question]) => question),
          ),
        );
      }
    } catch (error) {
      this.#waiting.clear();
      this.#parts.logger.warn({ err: error }, "could not look up how far sessions are committed");
    } finally {
      this.#answering = false;
    }
  }
}
