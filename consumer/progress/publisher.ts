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

/** Requests answered by one query. */
const sessionsPerQueryMax = 200;
/** Requests that wait. Those beyond are dropped, and servers repeat them. */
const requestsWaitingMax = 10_000;

/** Publishes the progress of sessions to servers: after each COMMIT, and on request. See stream/session-progress.ts. */
export class ProgressPublisher {
  readonly #options: ProgressPublisherOptions;
  readonly #waiting = new Map<string, ProgressRequest>();
  #answering = false;

  constructor(options: ProgressPublisherOptions) {
    this.#options = options;
  }

  /** Call after COMMIT. Does not wait for Redis: a server that misses the message requests it. */
  publish(sessions: readonly (SessionProgress | SessionRanges)[]): void {
    const { redis, shards, logger } = this.#options;
    for (const [channel, message] of encodeProgress(sessions, shards)) {
      redis
        .spublish(channel, message)
        .catch((error: unknown) => logger.debug({ err: error }, "could not publish session progress"));
    }
  }

  /** Receives the message of a server. Throws SyntaxError for any other message. */
  onMessage(message: string): void {
    for (const request of decodeRequests(message)) {
      if (this.#waiting.size >= requestsWaitingMax) break;
      const key = `${sessionKeyText(request)} ${request.withRanges}`;
      this.#waiting.set(key, request);
    }
    if (!this.#answering) void this.#answer();
  }

  async #answer(): Promise<void> {
    this.#answering = true;
    try {
      while (this.#waiting.size > 0) {
        const requests = [...this.#waiting].slice(0, sessionsPerQueryMax);
        for (const [key] of requests) this.#waiting.delete(key);
        this.publish(
          await readSessions(
            this.#options.db,
            requests.map(([, request]) => request),
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
