import { Latencies, type Percentiles } from "#bench/simulate/latencies.ts";

/** About one second of the run. */
export interface Point {
  /** From the start of the run to the end of this second. */
  readonly seconds: number;
  /** How long it was: the last one is cut short. */
  readonly elapsedSeconds: number;
  readonly sentRecords: number;
  readonly acknowledgedRecords: number;
  /** ms from the intended send time to the ack, for batches acknowledged in this second. */
  readonly latency: Percentiles;
  readonly errors: number;
  /** Batches that were due and are not acknowledged. */
  readonly waitingBatches: number;
  /** Records acknowledged and not stored yet; undefined when unknown. */
  readonly notStoredRecords: number | undefined;
}

/** One life of one device; see SentSession. */
export interface SessionTally {
  readonly deviceId: string;
  readonly sessionId: string;
  acknowledgedRecords: number;
  readonly uncertain: bigint[];
}

/** The number of error kinds counted separately; the rest is "other". */
const kindsMax = 40;

/** Everything that is counted during a run. */
export class Tally {
  dueBatches = 0;
  sentBatches = 0;
  sentRecords = 0;
  acknowledgedBatches = 0;
  acknowledgedRecords = 0;
  rejectedRecords = 0;
  refusedBatches = 0;
  reconnects = 0;
  boots = 0;
  /** Never sent, because the device's buffer was full or its power was cut. */
  droppedBatches = 0;
  uncertainBatches = 0;
  /** Of performance.now(); undefined before the first. */
  lastAckAt: number | undefined;
  readonly errors = new Map<string, number>();
  readonly sessions: SessionTally[] = [];
  /** ms, from the intended time of sending. */
  readonly latency = new Latencies();
  /** ms by which the simulator itself was late. */
  readonly lateness = new Latencies();
  readonly points: Point[] = [];
  readonly #recent = new Latencies();
  #before = { seconds: 0, sentRecords: 0, acknowledgedRecords: 0, errors: 0 };
  #errorCount = 0;

  get waitingBatches(): number {
    return (
      this.dueBatches -
      this.acknowledgedBatches -
      this.refusedBatches -
      this.droppedBatches -
      this.uncertainBatches
    );
  }

  acknowledge(latencyMs: number, accepted: number, rejected: number): void {
    this.acknowledgedBatches += 1;
    this.acknowledgedRecords += accepted;
    this.rejectedRecords += rejected;
    this.latency.record(latencyMs);
    this.#recent.record(latencyMs);
    this.lastAckAt = performance.now();
  }

  /** Errors that differ only in their numbers are of one kind. */
  error(what: string, reason: string, count = 1): void {
    const named = `${what}: ${reason.replaceAll(/\d+/g, "N").slice(0, 160)}`;
    const kind = this.errors.has(named) || this.errors.size < kindsMax ? named : "other";
    this.errors.set(kind, (this.errors.get(kind) ?? 0) + count);
    this.#errorCount += count;
  }

  /** Closes one second; called once a second. */
  mark(seconds: number, notStoredRecords: number | undefined): Point {
    const { sentRecords, acknowledgedRecords } = this;
    const point = {
      seconds,
      elapsedSeconds: seconds - this.#before.seconds,
      sentRecords: sentRecords - this.#before.sentRecords,
      acknowledgedRecords: acknowledgedRecords - this.#before.acknowledgedRecords,
      latency: this.#recent.percentiles,
      errors: this.#errorCount - this.#before.errors,
      waitingBatches: this.waitingBatches,
      notStoredRecords,
    };
    this.#recent.reset();
    this.#before = { seconds: 0, sentRecords, acknowledgedRecords, errors: this.#errorCount };
    this.points.push(point);
    return point;
  }
}
