import { setTimeout as sleep } from "node:timers/promises";
import { Counter, type Registry } from "#lib/metrics.ts";

/** One open stream, as far as its life is concerned. */
export interface OpenStream {
  /** Reads nothing more, answers what was read, then tells the device why it has to connect again. */
  end(why: string): Promise<void>;
  /** Whether it tells its device an epoch that is over, so that the device does not know what may be lost. */
  readonly isOutdated: boolean;
  /** Whether anything was said to the device since the last call. */
  takeSaidSomething(): boolean;
  /** Sends a heartbeat. */
  beat(): void;
}

export interface StreamLimits {
  /** A stream on which so long nothing was said gets a heartbeat; at most a quarter later. */
  readonly heartbeatMs: number;
  /** A stream ends at this age, more or less by a fifth, so that those which began together do not end together. */
  readonly ageMsMax: number;
}

interface Life {
  endsAt: number;
  quietSince: number;
}

/** How often within the shorter of its limits each stream is looked at. */
const looks = 4;

/** How streams end when all of them have to: in groups of so many at least, and so many groups at most. */
const groupSizeMin = 200;
const groupsMax = 20;
const groupIntervalMs = 100;

/** The streams that are open. Keeps them alive, ends the old ones, and all of them when the server stops. */
export class OpenStreams {
  readonly #streams = new Map<OpenStream, Life>();
  readonly #limits: StreamLimits;
  readonly #timer: NodeJS.Timeout;
  readonly #ended: Counter<"reason">;
  #ending = false;

  constructor(limits: StreamLimits, registry: Registry) {
    this.#limits = limits;
    this.#timer = setInterval(() => this.#look(), Math.min(limits.heartbeatMs, limits.ageMsMax) / looks);
    this.#ended = new Counter({
      name: "fleetlog_streams_ended_total",
      help: "Streams that the server ended, by reason",
      labelNames: ["reason"],
      registers: [registry],
    });
  }

  /** Whether {@link endAll} was called: a new stream is then refused. */
  get isEnding(): boolean {
    return this.#ending;
  }

  add(stream: OpenStream): void {
    const now = performance.now();
    const ageMs = this.#limits.ageMsMax * (0.8 + Math.random() * 0.4);
    this.#streams.set(stream, { endsAt: now + ageMs, quietSince: now });
  }

  remove(stream: OpenStream): void {
    this.#streams.delete(stream);
  }

  async endAll(): Promise<void> {
    this.#ending = true;
    clearInterval(this.#timer);
    await Promise.all([...this.#streams.keys()].map((stream) => this.#end(stream, "stopping")));
  }

  /**
   * Ends the streams that tell an epoch that is over, so that their devices learn the new one. After a restart of Redis
   * these are all: they end within two seconds, one group after the other.
   */
  async endOutdated(): Promise<void> {
    const outdated = [...this.#streams.keys()].filter((stream) => stream.isOutdated);
    const groupSize = Math.max(groupSizeMin, Math.ceil(outdated.length / groupsMax));
    for (const [index, stream] of outdated.entries()) {
      if (index > 0 && index % groupSize === 0) await sleep(groupIntervalMs);
      if (this.#streams.has(stream)) void this.#end(stream, "epoch");
    }
  }

  #look(): void {
    const { heartbeatMs } = this.#limits;
    const now = performance.now();
    for (const [stream, life] of this.#streams) {
      // Outdated: it asked for progress after endOutdated was called.
      if (stream.isOutdated) void this.#end(stream, "epoch");
      else if (life.endsAt <= now) void this.#end(stream, "age");
      else if (stream.takeSaidSomething()) life.quietSince = now;
      else if (now - life.quietSince >= heartbeatMs) {
        life.quietSince = now;
        stream.beat();
      }
    }
  }

  #end(stream: OpenStream, reason: keyof typeof reasons): Promise<void> {
    this.#streams.delete(stream);
    this.#ended.inc({ reason });
    return stream.end(reasons[reason]);
  }
}

const reasons = {
  stopping: "the server is stopping",
  age: "the stream reached its maximum age",
  epoch: "batches may have been lost since the stream began",
} as const;
