import { setTimeout as sleep } from "node:timers/promises";
import { type Backoff, backoffMs } from "#lib/backoff.ts";
import { type Child, exitText } from "./child.ts";

export interface Running {
  readonly child: Child;
  stop(): Promise<void>;
}

/** Told in a sentence what ended, why it does not start, and that it is back. */
export type Report = (sentence: string) => void;

const backoff: Backoff = { baseMs: 500, capMs: 10_000 };
/** Having lived so long, the next end counts as the first. */
const settledMs = 60_000;

/**
 * Something that runs and can be started again at the same addresses, by a test or, once `keepRunning` was called,
 * whenever it ends. That is tried forever: what fails today (a full disk, a database that hangs) may be back tomorrow,
 * and meanwhile the others do what they can without it.
 */
export class Kept<T extends Running> {
  readonly name: string;
  readonly #startAgain: (signal: AbortSignal) => Promise<T>;
  #running: T;
  #report: Report | undefined;
  #stopping = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  /** `startAgain` gives up on its signal. */
  constructor(name: string, running: T, startAgain: (signal: AbortSignal) => Promise<T>) {
    this.name = name;
    this.#running = running;
    this.#startAgain = startAgain;
  }

  /** The present one. */
  get running(): T {
    return this.#running;
  }

  get pid(): number {
    return this.#running.child.pid;
  }

  keepRunning(report: Report): void {
    this.#report = report;
    this.#watching = this.#watch(report, this.#stopping.signal);
  }

  /** Drains and stops it; it stays stopped. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running.stop();
    await this.#watching;
  }

  /** SIGKILL: no drain, no goodbye. It stays stopped unless it is kept running. */
  async kill(): Promise<void> {
    this.#running.child.kill();
    await this.#running.child.exited;
  }

  /** Starts it again at the same addresses after `stop` or `kill`. */
  async start(): Promise<void> {
    this.#stopping = new AbortController();
    this.#running = await this.#startAgain(this.#stopping.signal);
    if (this.#report) this.keepRunning(this.#report);
  }

  async #watch(report: Report, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const startedAt = performance.now();
      const exit = await this.#running.child.exited;
      if (signal.aborted) return;
      if (performance.now() - startedAt > settledMs) attempt = 1;
      let why = exitText(exit);
      report(`${this.name} exited (${why}) and is restarted; its log is ${this.#running.child.logFile}.`);
      for (; ; attempt += 1) {
        // The signal ends the pause by a throw; the next line is what reacts to it.
        await sleep(backoffMs(attempt, backoff), undefined, { signal }).catch(() => undefined);
        if (signal.aborted) return;
        try {
          this.#running = await this.#startAgain(signal);
          break;
        } catch (error) {
          if (signal.aborted) return;
          const [message = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
          if (message !== why) report(`${this.name} failed to start, retrying: ${message}`);
          why = message;
        }
      }
      if (signal.aborted) return this.#running.stop(); // stopped while it was starting
      report(`${this.name} is ready again.`);
    }
  }
}
