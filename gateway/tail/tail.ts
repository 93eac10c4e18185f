import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { compareIds, idMilliseconds } from "#stream/group-info.ts";
import type { StreamPositions } from "#stream/tail-reader.ts";
import { matchLogs } from "../logs/entry-block.ts";
import type { LogFilter } from "../logs/log-filter.ts";
import { type BatchSlot, type Gap, type GapSlot, type Slot, slotBytes, type TailRing } from "./tail-ring.ts";

/** The next message of a tail; without logs it is a heartbeat. */
export type TailMessage =
  | { readonly logs: readonly LogEntry[] }
  | { readonly skipped: number }
  | { readonly gap: Gap };

/** Records that the client got before it followed, and that may occur again. */
export interface Shown {
  readonly keys: ReadonlySet<string>;
  /** None of them was appended after this time, by Redis's clock. */
  readonly untilMs: number;
}

/**
 * One client that follows. It holds no records but a number of a slot in the ring; when that slot is evicted
 * unread, it counts the records it misses.
 */
export class Tail {
  readonly filter: LogFilter;
  /** The positions up to which the client has everything, in each shard. */
  #positions: string[] = [];
  #shown: Shown | undefined;
  /** The number of its next slot; undefined: it does not follow yet. */
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

  /** Whether the ring has a slot that it has not read. */
  get isBehind(): boolean {
    return this.#next !== undefined && this.#ring !== undefined && this.#next < this.#ring.next;
  }

  /** Follows from slot `next` on, skipping entries up to `positions`. */
  follow(ring: TailRing, next: number, positions: StreamPositions): void {
    this.#ring = ring;
    this.#next = next;
    this.#positions = [...positions];
  }

  /** Sets the positions of a tail that does not follow yet. */
  standAt(positions: StreamPositions): void {
    this.#positions = [...positions];
  }

  /** Omits records that were sent already. */
  leaveOut(shown: Shown): void {
    this.#shown = shown;
  }

  /** The next message. Undefined: none, or, while `isBehind`, none in the slots of this turn. */
  take(): TailMessage | undefined {
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

  /** Called when a slot is evicted: its unread records are skipped. */
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

  /** The matching records of the batch that the client does not have; the position advances past it. */
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

  /** Ends a wait: there is something to read. */
  wake(): void {
    this.#wake();
  }

  /** Waits until it is woken, the signal aborts, or the time is over. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const timer = setTimeout(wake, ms);
    this.#wake = wake;
    signal.addEventListener("abort", wake, { once: true });
    await promise;
    signal.removeEventListener("abort", wake);
    clearTimeout(timer);
    this.#wake = () => {};
  }
}

/** Identifies a record; a reused sequence has another digest. */
export function shownKey({ deviceId, sessionId, sequence, index }: LogEntry, digest: string): string {
  return `${deviceId}/${sessionId}/${sequence}/${index}/${digest}`;
}

/** A message ends with the batch that exceeds one of these. */
const logsMax = 1000;
const weightMax = 1 << 20;
/** A tail reads this many slots before others get their turn. */
const lookMax = 500;
