import type { ChainableCommander, Redis } from "ioredis";
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

interface Append {
  readonly entry: Entry;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Puts batches into the stream. The appends of one turn of the event loop travel together, so that Redis writes
 * and fsyncs them together; any number of such groups is under way at a time, within the bounds.
 */
export class StreamAppender {
  readonly #redis: Pick<Redis, "pipeline">;
  readonly #options: AppenderOptions;
  #waiting: Append[] = [];
  #inFlight = 0;
  #inFlightBytes = 0;

  /** `redis` has the options `commandConnection`, or an append may hang for as long as Redis does. */
  constructor(redis: Pick<Redis, "pipeline">, options: AppenderOptions) {
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
    this.#inFlight += 1;
    this.#inFlightBytes += entry.batch.length;
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => void this.#send());
      this.#waiting.push({ entry, resolve, reject });
    });
  }

  async #send(): Promise<void> {
    const appends = this.#waiting;
    this.#waiting = [];
    const pipeline = this.#redis.pipeline();
    for (const { entry } of appends) {
      pipeline.xadd(streamKey(shardOf(entry.deviceId, this.#options.shards)), "*", ...encodeEntry(entry));
    }
    const outcomes = await outcomesOf(pipeline);
    for (const [index, { entry, resolve, reject }] of appends.entries()) {
      this.#inFlight -= 1;
      this.#inFlightBytes -= entry.batch.length;
      const error = outcomes instanceof Error ? outcomes : outcomes[index];
      if (error === null) resolve();
      else reject(refusal(error));
    }
  }
}

/** A pipeline resolves even if each of its commands failed: every slot has an error of its own. */
async function outcomesOf(pipeline: ChainableCommander): Promise<(Error | null)[] | Error> {
  try {
    const slots = await pipeline.exec();
    return slots?.map(([error]) => error) ?? new Error("the pipeline was discarded");
  } catch (error) {
    return error as Error;
  }
}

function refusal(error: Error | undefined): Error {
  const message = error?.message ?? "Redis gave no answer";
  if (message.startsWith("OOM ")) return new StreamFullError(`Redis: ${message}`, { cause: error });
  return new StreamUnavailableError(`Redis: ${message}`, { cause: error });
}
