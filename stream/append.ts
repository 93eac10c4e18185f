import type { Redis } from "ioredis";
import { type Entry, encodeEntry } from "./entry.ts";
import { StreamFullError, StreamUnavailableError } from "./errors.ts";
import { shardOf, streamKey } from "./keys.ts";

/** Bounds of a {@link StreamAppender}; appends beyond them are refused with a StreamFullError. */
export interface AppenderOptions {
  readonly shards: number;
  /** Batches under way to Redis at one time. */
  readonly inFlightMax: number;
  /** Their bytes. */
  readonly inFlightBytesMax: number;
}

/** As much of Redis as an appender needs. */
type AppendCommands = Pick<Redis, "xadd"> & { readonly stream?: Redis["stream"] };

/**
 * Puts batches into the stream. The appends of one turn of the event loop leave in one write, so that Redis takes
 * and fsyncs them together. The socket is corked for that; a pipeline of ioredis would copy every batch once more.
 */
export class StreamAppender {
  readonly #redis: AppendCommands;
  readonly #options: AppenderOptions;
  #corked = false;
  #inFlight = 0;
  #inFlightBytes = 0;

  /** `redis` has the options `commandConnection`, or an append may hang for as long as Redis does. */
  constructor(redis: AppendCommands, options: AppenderOptions) {
    this.#redis = redis;
    this.#options = options;
  }

  /** How many batches are under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Their bytes. */
  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /**
   * Resolves once Redis has answered, which with `appendfsync always` means that the batch is on disk. Rejects
   * with StreamFullError or StreamUnavailableError; after the latter the batch may be in the stream all the same.
   */
  append(entry: Entry): Promise<void> {
    const { inFlightMax, inFlightBytesMax } = this.#options;
    if (this.#inFlight >= inFlightMax || this.#inFlightBytes + entry.batch.length > inFlightBytesMax) {
      const seen = `${this.#inFlight} batches, ${this.#inFlightBytes} bytes are on their way to Redis`;
      return Promise.reject(
        new StreamFullError(`${seen}; the limits are ${inFlightMax}, ${inFlightBytesMax}`),
      );
    }
    return this.#send(entry);
  }

  async #send(entry: Entry): Promise<void> {
    this.#inFlight += 1;
    this.#inFlightBytes += entry.batch.length;
    this.#cork();
    try {
      await this.#redis.xadd(
        streamKey(shardOf(entry.deviceId, this.#options.shards)),
        "*",
        ...encodeEntry(entry),
      );
    } catch (error) {
      throw refusal(error);
    } finally {
      this.#inFlight -= 1;
      this.#inFlightBytes -= entry.batch.length;
    }
  }

  /** Holds what is written until this turn of the event loop is over. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    const socket = this.#redis.stream; // none before the first connection, nor of a cluster
    socket?.cork();
    setImmediate(() => {
      this.#corked = false;
      socket?.uncork();
    });
  }
}

function refusal(error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  if (message.startsWith("OOM ")) return new StreamFullError(`Redis: ${message}`, { cause: error });
  return new StreamUnavailableError(`Redis: ${message}`, { cause: error });
}
