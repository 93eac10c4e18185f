import type { RecordFields } from "./record-fields.ts";
import type { ScannedBatch } from "./scan.ts";
import { nanosToMicros, type Timestamp } from "./timestamp.ts";

/** How the time of a record is known: the numbers of TimeSource in query.proto. */
export const timeSources = { device: 0, bootTime: 1, uptime: 2, observed: 3, received: 4 } as const;

export type TimeSourceNumber = (typeof timeSources)[keyof typeof timeSources];

/** What the accepted records of a batch say about times, beside their own. */
export interface BatchClock {
  /** When the device booted by its own clock, µs since 1970: from the last record with a time and an uptime. */
  readonly ownBootMicros: number | undefined;
  /** The highest uptime of a record. */
  readonly uptimeMaxMicros: number;
  /** Records without a time that have an uptime. */
  readonly uptimeOnlyCount: number;
}

/** What a server knows of the reception of a batch, in µs since 1970 by its clock; an entry of the stream has it. */
export interface Reception {
  readonly receivedAtMicros: number;
  /** When the device booted, if its request has an uptime. */
  readonly bootedAtMicros?: number | undefined;
}

/**
 * The one rule for when a record happened, by the first of these that is known. Rows, the range of a batch, statistics
 * and the live tail share it.
 *
 *     its time                                                          by the clock of the device
 *     its uptime after the boot, by a record of the batch with both     by the same clock
 *     its uptime after the boot, by the uptime of the request           estimated from the reception
 *     when a collector observed it                                      by the clock of the collector
 *     as long before the reception as its uptime is below the highest uptime of the batch
 *     the reception of its batch
 *
 * Only a device's own clock dates a record after its reception, and nothing dates one before 1970. A boot after the
 * reception comes from a wrong clock, and does not count.
 */
export class RecordTimes {
  readonly #ownBootMicros: number | undefined;
  readonly #uptimeMaxMicros: number;
  readonly #reception: Reception;

  constructor(batch: Pick<ScannedBatch, "clock">, reception: Reception) {
    this.#reception = reception;
    this.#ownBootMicros = ownBootMicros(batch, reception);
    this.#uptimeMaxMicros = batch.clock?.uptimeMaxMicros ?? 0;
  }

  /** Sets `time` to when an accepted record of the batch happened, and returns how that is known. */
  set(time: Timestamp, record: RecordFields): TimeSourceNumber {
    if (hasTime(record)) {
      time.setNanos(record.timeHigh, record.timeLow);
      return timeSources.device;
    }
    const { rare } = record;
    const { receivedAtMicros, bootedAtMicros } = this.#reception;
    if (rare?.hasUptime === true) {
      const uptime = nanosToMicros(rare.uptimeHigh, rare.uptimeLow);
      if (this.#ownBootMicros !== undefined) {
        time.setMicros(Math.min(this.#ownBootMicros + uptime, Number.MAX_SAFE_INTEGER));
        return timeSources.bootTime;
      }
      if (bootedAtMicros !== undefined) {
        this.#setEstimate(time, bootedAtMicros + uptime);
        return timeSources.uptime;
      }
      if (!rare.hasObservedTime) {
        this.#setEstimate(time, receivedAtMicros - (this.#uptimeMaxMicros - uptime));
        return timeSources.uptime;
      }
    }
    if (rare?.hasObservedTime === true) {
      this.#setEstimate(time, nanosToMicros(rare.observedHigh, rare.observedLow));
      return timeSources.observed;
    }
    time.setMicros(receivedAtMicros);
    return timeSources.received;
  }

  #setEstimate(time: Timestamp, micros: number): void {
    time.setMicros(Math.min(Math.max(0, micros), this.#reception.receivedAtMicros));
  }
}

/** Whether a record has a time of its own. */
export function hasTime({ timeHigh, timeLow }: Pick<RecordFields, "timeHigh" | "timeLow">): boolean {
  return (timeHigh | timeLow) !== 0;
}

/** When the device booted by its own clock, µs since 1970, if the batch says it and it can be. */
export function ownBootMicros(
  { clock }: Pick<ScannedBatch, "clock">,
  { receivedAtMicros }: Reception,
): number | undefined {
  const micros = clock?.ownBootMicros;
  return micros !== undefined && micros >= 0 && micros <= receivedAtMicros ? micros : undefined;
}

/** Whether records of the batch are dated by an estimate that a known time of boot would replace. */
export function isUndated(batch: Pick<ScannedBatch, "clock">, reception: Reception): boolean {
  return (batch.clock?.uptimeOnlyCount ?? 0) > 0 && ownBootMicros(batch, reception) === undefined;
}
