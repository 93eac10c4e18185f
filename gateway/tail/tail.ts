import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { compareIds, idMilliseconds } from "#stream/group-info.ts";
import type { StreamPositions } from "#stream/tail-reader.ts";
import type { LogFilter } from "../logs/log-filter.ts";
import { matchLogs } from "../logs/match-logs.ts";
import { type BatchSlot, type Gap, type GapSlot, type Slot, slotBytes, type TailRing } from "./tail-ring.ts";

/** What a tail has to say next; no logs: that it lives. */
export type TailNews =
  | { readonly logs: readonly LogEntry[] }
  | { readonly skipped: number }
  | { readonly gap: Gap };

/** Records that the client was sent before it followed, and that may come along once more. */
export interface Shown {
  readonly keys: ReadonlySet<string>;
  /** None of them came into the stream after this, by Redis's clock. */
  readonly untilMs: number;
}

/**
 * One client that follows. It holds no records: it has a place in the ring, and when that is about to be taken from it,
 * it counts what it loses.
 */
export class Tail {
  readonly filter: LogFilter;
  /** Up to where the client knows everything, in each shard. */
  #positions: string[] = [];
  #shown: Shown | undefined;
  /** The number of the slot it takes next; undefined: it does not follow yet. */
  #next: number | undefined;
  #ring: TailRing | undefined;
  #skipped = 0;
  #gap: Gap | undefined;
  #wake = () => {};

  constructor(filter: LogFilter) {
    this.filter = filter;
  }

  get positions(): StreamPositions {
    return this.#positions;
  }

  /** Whether there is something in the ring that it has not looked at. */
  get isBehind(): boolean {
    return this.#next !== undefined && this.#ring !== undefined && this.#next < this.#ring.next;
  }

  /** Follows from slot `next` on, and takes of it what is beyond `positions`. */
  follow(ring: TailRing, next: number, positions: StreamPositions): void {
    this.#ring = ring;
    this.#next = next;
    this.#positions = [...positions];
  }

  /** Knows everything up to these positions, and does not follow yet. */
  standAt(positions: StreamPositions): void {
    this.#positions = [...positions];
  }

  /** Leaves out what was sent already. */
  leaveOut(shown: Shown): void {
    this.#shown = shown;
  }

  /** The next thing to tell. Undefined: nothing, or, while `isBehind`, nothing in so many slots. */
  take(): TailNews | undefined {
    if (this.#skipped > 0) {
      const skipped = this.#skipped;
      this.#skipped = 0;
      return { skipped };
    }
    if (this.#gap !== undefined) {
      const gap = this.#gap;
      this.#gap = undefined;
      return { gap };
    }
    const logs: LogEntry[] = [];
    let weight = 0;
    for (let looked = 0; looked < lookMax && logs.length < logsMax && weight < weightMax; looked += 1) {
      if (this.#next === undefined) break;
      const slot = this.#ring?.at(this.#next);
      if (slot === undefined || ("gap" in slot && logs.length > 0)) break;
      this.#next += 1;
      if ("gap" in slot) return { gap: this.#pass(slot) };
      const matching = this.accept(slot);
      for (const log of matching) logs.push(log);
      if (matching.length > 0) weight += slotBytes(slot);
    }
    return logs.length === 0 ? undefined : { logs };
  }

  /** A slot goes out of the ring: what this tail has not taken of it is skipped. */
  lose(number: number, slot: Slot): void {
    if (this.#next !== number) return;
    this.#next += 1;
    if ("gap" in slot) {
      const gap = this.#pass(slot);
      this.#gap = { ...gap, startMs: Math.min(this.#gap?.startMs ?? gap.startMs, gap.startMs) };
    } else {
      this.#skipped += this.accept(slot).length;
    }
  }

  /** The records of the batch that the client wants and does not have; it counts as known from now on. */
  accept(slot: BatchSlot): readonly LogEntry[] {
    const { shard, id } = slot;
    if (compareIds(id, this.#positions[shard] ?? "") <= 0) return [];
    this.#positions[shard] = id;
    const matching = matchLogs(this.filter, slot);
    if (this.#shown === undefined) return matching;
    if (idMilliseconds(id) > this.#shown.untilMs) return matching;
    const { keys } = this.#shown;
    return matching.filter((log) => !keys.has(shownKey(log, slot.digest)));
  }

  #pass({ gap, goOnAfter }: GapSlot): Gap {
    for (const [shard, position] of goOnAfter) this.#positions[shard] = position;
    return gap;
  }

  /** Ends a wait: there is something to look at. */
  wake(): void {
    this.#wake();
  }

  /** Until it is woken or the signal aborts; true: until the time was over. */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(resolve, ms, true);
    const wake = () => resolve(false);
    this.#wake = wake;
    signal.addEventListener("abort", wake, { once: true });
    const isOver = await promise;
    signal.removeEventListener("abort", wake);
    clearTimeout(timer);
    this.#wake = () => {};
    return isOver;
  }
}

/** Names a record among all; a reused sequence has another digest. */
export function shownKey({ deviceId, sessionId, sequence, index }: LogEntry, digest: string): string {
  return `${deviceId}/${sessionId}/${sequence}/${index}/${digest}`;
}

/** A message ends with the batch that brings it over one of these. */
const logsMax = 1000;
const weightMax = 1 << 20;
/** So many slots are looked at before others get their turn. */
const lookMax = 500;
