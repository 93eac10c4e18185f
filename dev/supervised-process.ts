import { setTimeout as sleep } from "node:timers/promises";
import { type Backoff, backoffMs } from "#lib/backoff.ts";
import { retry } from "#lib/retry.ts";
import { type Child, exitText } from "./child.ts";

export interface Running {
  readonly child: Child;
  stop(): Promise<void>;
}

/** Receives one sentence per event: the process exited, failed to start, or is ready again. */
export type Report = (sentence: string) => void;

const backoff: Backoff = { baseMs: 500, capMs: 10_000 };
/** After this uptime the next exit counts as the first one. */
const settledMs = 60_000;

/**
 * A process that can be restarted at the same addresses: by a test, or after every exit once `keepRunning` was called.
 * It retries forever: a full disk or a hung database may recover tomorrow, and the other processes run on without it.
 */
export class SupervisedProcess<T extends Running> {
  readonly name: string;
  readonly #restart: (signal: AbortSignal) => Promise<T>;
  #running: T;
  #report: Report | undefined;
  #stopping = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  /** `restart` gives up when its signal aborts. */
  constructor(name: string, running: T, restart: (signal: AbortSignal) => Promise<T>) {
    this.name = name;
    this.#running = running;
    this.#restart = restart;
  }

  /** The current process. */
  get running(): T {
    return this.#running;
  }

  get pid(): number {
    return this.#running.child.pid;
  }

  keepRunning(report: Report): void {
    this.#report = report;
    const { signal } = this.#stopping;
    this.#watching = this.#watch(report, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error; // `stop` aborts the wait, which then throws
    });
  }

  /** Drains and stops the process, and does not restart it. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running.stop();
    await this.#watching;
  }

  /** Sends SIGKILL: no drain. Only `keepRunning` restarts the process. */
  async kill(): Promise<void> {
    this.#running.child.kill();
    await this.#running.child.exited;
  }

  /** Starts the process at the same addresses after `stop` or `kill`. */
  async start(): Promise<void> {
    this.#stopping = new AbortController();
    this.#running = await this.#restart(this.#stopping.signal);
    if (this.#report) this.keepRunning(this.#report);
  }

  async #watch(report: Report, signal: AbortSignal): Promise<void> {
    for (let exits = 1; ; exits += 1) {
      const startedAt = performance.now();
      const exit = await this.#running.child.exited;
      if (signal.aborted) return;
      if (performance.now() - startedAt > settledMs) exits = 1;
      let reason = exitText(exit);
      report(`${this.name} exited (${reason}) and is restarted; its log is ${this.#running.child.logFile}.`);
      await sleep(backoffMs(exits, backoff), undefined, { signal });
      this.#running = await retry(() => this.#restart(signal), {
        backoff,
        signal,
        isFinal: () => signal.aborted,
        onFailure: (error) => {
          const [message = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
          if (message !== reason) report(`${this.name} failed to start, retrying: ${message}`);
          reason = message;
        },
      });
      if (signal.aborted) return this.#running.stop(); // `stop` came during the start
      report(`${this.name} is ready again.`);
    }
  }
}
