import type { Redis } from "ioredis";
import type { Logger } from "#lib/logger.ts";
import { Counter, type Registry } from "#lib/metrics.ts";
import { encodeRequests, type ProgressRequest, sessionKeyText } from "#stream/session-progress.ts";

export interface ProgressRequesterOptions {
  readonly redis: Pick<Redis, "spublish">;
  readonly shards: number;
  readonly registry: Registry;
  readonly logger: Logger;
}

/** Sessions in one message; a consumer answers as many with one query. */
const sessionsPerMessageMax = 200;
/** Requests waiting for this turn of the event loop to end. Those beyond are dropped; callers repeat them. */
const waitingMax = 10_000;

/** Requests progress from the consumers; the requests of one turn of the event loop are sent together. */
export class ProgressRequester {
  readonly #options: ProgressRequesterOptions;
  readonly #waiting = new Map<string, ProgressRequest>();
  readonly #requested: Counter<"type">;

  constructor(options: ProgressRequesterOptions) {
    this.#options = options;
    this.#requested = new Counter({
      name: "fleetlog_progress_requests_total",
      help: "Requests to consumers about sessions: their progress (progress) or all stored ranges (ranges)",
      labelNames: ["type"],
      registers: [options.registry],
    });
  }

  request(request: ProgressRequest): void {
    if (this.#waiting.size >= waitingMax) return;
    if (this.#waiting.size === 0) setImmediate(() => this.#send());
    this.#waiting.set(`${sessionKeyText(request)} ${request.withRanges}`, request);
    this.#requested.inc({ type: request.withRanges ? "ranges" : "progress" });
  }

  #send(): void {
    const { redis, shards, logger } = this.#options;
    const requests = [...this.#waiting.values()];
    this.#waiting.clear();
    for (let at = 0; at < requests.length; at += sessionsPerMessageMax) {
      for (const [channel, message] of encodeRequests(
        requests.slice(at, at + sessionsPerMessageMax),
        shards,
      )) {
        redis
          .spublish(channel, message)
          .catch((error: unknown) =>
            logger.debug({ err: error }, "could not request session progress, retrying"),
          );
      }
    }
  }
}
