import type { Redis } from "ioredis";
import type { Kysely } from "kysely";
import type { Logger } from "#lib/logger.ts";
import type { Database } from "#postgres/tables.ts";
import {
  decodeRequests,
  encodeProgress,
  type ProgressRequest,
  type SessionProgress,
  type SessionRanges,
  sessionKeyText,
} from "#stream/session-progress.ts";
import { readSessions } from "../tables/sessions.ts";

export interface ProgressPublisherOptions {
  readonly db: Kysely<Database>;
  readonly redis: Pick<Redis, "spublish">;
  readonly shards: number;
  readonly logger: Logger;
}

/** Questions answered by one query. */
const sessionsPerQueryMax = 200;
/** Questions waiting; what is beyond is dropped, and asked again by whoever wants to know. */
const requestsWaitingMax = 10_000;

/** Tells servers how far sessions are committed: after each COMMIT, and when they ask. See stream/session-progress.ts. */
export class ProgressPublisher {
  readonly #options: ProgressPublisherOptions;
  readonly #waiting = new Map<string, ProgressRequest>();
  #answering = false;

  constructor(parts: ProgressPublisherOptions) {
    this.#options = parts;
  }

  /** Call after COMMIT. Nobody waits for it: who misses it asks. */
  publish(sessions: readonly (SessionProgress | SessionRanges)[]): void {
    const { redis, shards, logger } = this.#options;
    for (const [channel, message] of encodeProgress(sessions, shards)) {
      redis
        .spublish(channel, message)
        .catch((error: unknown) => logger.debug({ err: error }, "could not publish session progress"));
    }
  }

  /** Takes the message of a server. Throws SyntaxError when it is none. */
  onMessage(message: string): void {
    for (const question of decodeRequests(message)) {
      if (this.#waiting.size >= requestsWaitingMax) break;
      const key = `${sessionKeyText(question)} ${question.withRanges}`;
      this.#waiting.set(key, question);
    }
    if (!this.#answering) void this.#answer();
  }

  async #answer(): Promise<void> {
    this.#answering = true;
    try {
      while (this.#waiting.size > 0) {
        const together = [...this.#waiting].slice(0, sessionsPerQueryMax);
        for (const [key] of together) this.#waiting.delete(key);
        this.publish(
          await readSessions(
            this.#options.db,
            together.map(([, question]) => question),
          ),
        );
      }
    } catch (error) {
      this.#waiting.clear();
      this.#options.logger.warn({ err: error }, "could not look up session progress");
    } finally {
      this.#answering = false;
    }
  }
}
