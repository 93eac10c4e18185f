import { setTimeout as sleep } from "node:timers/promises";
import { Counter, type Registry } from "#lib/metrics.ts";

/** An open stream, as far as its lifetime is concerned. */
export interface OpenStream {
  /** Stops reading, acknowledges what was read, then ends the stream with the reason to connect again. */
  end(why: string): Promise<void>;
  /** True when it reports an epoch that is over: its device does not know what may be lost. */
  readonly isOutdated: boolean;
  /** True when anything was sent to the device since the last call. */
  consumeActivityFlag(): boolean;
  sendHeartbeat(): void;
}

export interface StreamLimits {
  /** A stream gets a heartbeat before it is quiet for longer than this. */
  readonly heartbeatMs: number;
  /** A stream ends at this age ± 20 %, so that streams that started together do not end together. */
  readonly ageMsMax: number;
}

interface StreamState {
  endsAt: number;
  quietSince: number;
}

/** Checks of each stream within the shorter of its limits: how much earlier than due a heartbeat may be. */
const checksPerLimit = 10;

/** When all streams have to end, they end in groups: at least this large, and at most this many. */
const groupSizeMin = 200;
const groupsMax = 20;
const groupIntervalMs = 100;

/** All open streams: sends heartbeats, ends old streams, and ends all of them when the server stops. */
export class OpenStreams {
  readonly #streams = new Map<OpenStream, StreamState>();
  readonly #limits: StreamLimits;
  readonly #timer: NodeJS.Timeout;
  #checkedAt = performance.now();
  readonly #ended: Counter<"reason">;
  #ending = false;

  constructor(limits: StreamLimits, registry: Registry) {
    this.#limits = limits;
    const intervalMs = Math.min(limits.heartbeatMs, limits.ageMsMax) / checksPerLimit;
    this.#timer = setInterval(() => this.#check(intervalMs), intervalMs);
    this.#ended = new Counter({
      name: "fleetlog_streams_ended_total",
      help: "Streams that the server ended, by reason",
      labelNames: ["reason"],
      registers: [registry],
    });
  }

  /** True after {@link endAll}: new streams are refused. */
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
   * Ends the streams that report an epoch that is over, so that their devices learn the new one. After a restart of
   * Redis these are all streams: they end within two seconds, group by group.
   */
  async endOutdated(): Promise<void> {
    const outdated = [...this.#streams.keys()].filter((stream) => stream.isOutdated);
    const groupSize = Math.max(groupSizeMin, Math.ceil(outdated.length / groupsMax));
    for (const [index, stream] of outdated.entries()) {
      if (index > 0 && index % groupSize === 0) await sleep(groupIntervalMs);
      if (this.#streams.has(stream)) void this.#end(stream, "epoch");
    }
  }

  #check(intervalMs: number): void {
    const { heartbeatMs } = this.#limits;
    const now = performance.now();
    const checkedBefore = this.#checkedAt;
    this.#checkedAt = now;
    for (const [stream, state] of this.#streams) {
      // Outdated: it asked for progress after endOutdated was called.
      if (stream.isOutdated) void this.#end(stream, "epoch");
      else if (state.endsAt <= now) void this.#end(stream, "age");
      else if (stream.consumeActivityFlag()) state.quietSince = checkedBefore;
      // The next check would be too late.
      else if (now - state.quietSince + intervalMs > heartbeatMs) {
        state.quietSince = now;
        stream.sendHeartbeat();
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
