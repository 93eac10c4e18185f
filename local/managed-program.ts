import { setTimeout as sleep } from "node:timers/promises";
import { type Backoff, backoffMs } from "#lib/backoff.ts";
import { exitText } from "./child.ts";
import { type ProgramOptions, type RunningProgram, startProgram } from "./programs.ts";

export interface KeepRunning {
  /** Told in a sentence what ended and what is done about it. */
  readonly report: (sentence: string) => void;
  /** Called when starting it again is no use. */
  readonly giveUp: (sentence: string) => void;
}

const backoff: Backoff = { baseMs: 500, capMs: 10_000 };
const attemptsMax = 6;
/** Having lived so long, the next end counts as the first. */
const settledMs = 60_000;

/** One of our programs that can be stopped and started again at the same addresses, by a test or by itself. */
export class ManagedProgram {
  readonly name: string;
  readonly #options: ProgramOptions;
  #running: RunningProgram;
  #wanted = true;
  #keepRunning: KeepRunning | undefined;

  static async start(options: ProgramOptions): Promise<ManagedProgram> {
    return new ManagedProgram(options, await startProgram(options));
  }

  private constructor(options: ProgramOptions, running: RunningProgram) {
    this.name = options.name;
    this.#running = running;
    // Nginx knows the first addresses, so later starts must listen there too.
    const listen = Object.entries(running.addresses).map(([face, address]) => [
      `${face.toUpperCase()}_LISTEN`,
      address,
    ]);
    this.#options = { ...options, env: { ...options.env, ...Object.fromEntries(listen) } };
  }

  /** host:port of `grpc`, `http` and `admin`, as far as the program has them. */
  get addresses(): Readonly<Record<string, string>> {
    return this.#running.addresses;
  }

  get pid(): number {
    return this.#running.pid;
  }

  /** Starts it again when it ends by itself, with growing pauses, at most 6 times in a row. */
  keepRunning(keep: KeepRunning): void {
    this.#keepRunning = keep;
    void this.#watch(keep);
  }

  /** Drains and stops it; it stays stopped. */
  async stop(): Promise<void> {
    this.#wanted = false;
    await this.#running.stop();
  }

  /** SIGKILL: no drain, no goodbye. It stays stopped unless it is kept running. */
  async kill(): Promise<void> {
    if (!this.#keepRunning) this.#wanted = false;
    this.#running.child.kill();
    await this.#running.child.exited;
  }

  /** Starts it again at the same addresses after `stop` or `kill`. */
  async start(): Promise<void> {
    this.#wanted = true;
    this.#running = await startProgram(this.#options);
    if (this.#keepRunning) void this.#watch(this.#keepRunning);
  }

  async #watch({ report, giveUp }: KeepRunning): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const startedAt = performance.now();
      let why = exitText(await this.#running.child.exited);
      if (!this.#wanted) return;
      if (performance.now() - startedAt > settledMs) attempt = 1;
      for (; ; attempt += 1) {
        if (attempt > attemptsMax)
          return giveUp(`${this.name} ended ${attemptsMax} times in a row (${why}).`);
        const pauseMs = backoffMs(attempt, backoff);
        report(`${this.name} ended (${why}); starting it again in ${(pauseMs / 1000).toFixed(1)} s.`);
        await sleep(pauseMs);
        if (!this.#wanted) return;
        try {
          this.#running = await startProgram(this.#options);
          report(`${this.name} is ready again.`);
          break;
        } catch (error) {
          why = error instanceof Error ? error.message : String(error);
        }
      }
      if (!this.#wanted) return this.#running.stop(); // stopped while it was starting
    }
  }
}
