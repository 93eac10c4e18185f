import { AppendCommand } from "./append-command.ts";
import { redisProblem, type StreamRedis } from "./connection.ts";
import type { Entry } from "./entry.ts";
import { StreamFullError, StreamUnavailableError } from "./errors.ts";
import { streamKey, toShard } from "./keys.ts";

/** Bounds of a {@link StreamAppender}; appends beyond them are refused with a StreamFullError. */
export interface AppenderOptions {
  readonly shards: number;
  /** Batches in flight to Redis at a time. */
  readonly inFlightMax: number;
  /** Their bytes. */
  readonly inFlightBytesMax: number;
  /** Called when an entry is in the stream, before the append resolves; in id order within a shard. */
  readonly onAppended?: (shard: number, id: string, entry: Entry) => void;
}

/** Appends batches to the stream, each to the shard of its device. */
export class StreamAppender {
  readonly #redis: Pick<StreamRedis, "sendCommand">;
  readonly #options: AppenderOptions;
  #inFlight = 0;
  #inFlightBytes = 0;

  /** `redis` needs the options `commandConnection`, or an append hangs for as long as Redis does. */
  constructor(redis: Pick<StreamRedis, "sendCommand">, options: AppenderOptions) {
    this.#redis = redis;
    this.#options = options;
  }

  /** Batches in flight. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Their bytes. */
  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /**
   * Resolves once Redis answered, which with `appendfsync always` means that the batch is on disk. Rejects with
   * StreamFullError or StreamUnavailableError; after the latter the batch may still be in the stream.
   */
  append(entry: Entry): Promise<void> {
    const { inFlightMax, inFlightBytesMax } = this.#options;
    if (this.#inFlight >= inFlightMax || this.#inFlightBytes + entry.batch.length > inFlightBytesMax) {
      const seen = `${this.#inFlight} batches, ${this.#inFlightBytes} bytes are being appended to Redis`;
      return Promise.reject(
        new StreamFullError(`${seen}; the limits are ${inFlightMax}, ${inFlightBytesMax}`),
      );
    }
    return this.#send(entry);
  }

  async #send(entry: Entry): Promise<void> {
    this.#inFlight += 1;
    this.#inFlightBytes += entry.batch.length;
    try {
      const { shards, onAppended } = this.#options;
      const shard = toShard(entry.deviceId, shards);
      const command = new AppendCommand(streamKey(shard), entry);
      this.#redis.sendCommand(command);
      const id = String(await command.promise);
      onAppended?.(shard, id, entry);
    } catch (error) {
      throw refusal(error);
    } finally {
      this.#inFlight -= 1;
      this.#inFlightBytes -= entry.batch.length;
    }
  }
}

function refusal(error: unknown): Error {
  const problem = redisProblem(error);
  if (problem.startsWith("Redis: OOM ")) return new StreamFullError(problem, { cause: error });
  return new StreamUnavailableError(problem, { cause: error });
}
