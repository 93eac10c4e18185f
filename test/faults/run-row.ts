import type { ProgramCommand } from "#test/support/device-program.ts";
import type { Fault, Pace } from "./fault.ts";
import { Fixture } from "./fixture.ts";
import { isClean, type RunOptions, type RunResult, runOnce } from "./run.ts";

/** A run whose system did not come back, so that nothing could be judged. */
export interface FailedRun {
  readonly fault: string;
  readonly run: number;
  readonly seed: number;
  readonly failure: string;
}

export type AnyRun = RunResult | FailedRun;

export interface RowOptions {
  readonly runs: number;
  readonly seed: number;
  readonly pace: Pace;
  readonly program?: ProgramCommand | undefined;
  /** Called for every run as it ends, including void ones. */
  readonly onRun: (run: AnyRun) => void;
  /** Runs that were done before, by their number. */
  readonly isDone: (run: number) => boolean;
}

/** A void run is made again, at most so often per row. */
const voidsMax = (runs: number) => 3 + runs;

/** One fixture serves many rows; after a failed run it is replaced. */
export class Fixtures {
  #fixture: Fixture | undefined;
  #fixtureRuns = 0;

  async current(): Promise<Fixture> {
    // Now and then a new one, so that it does not matter how much the last ones left.
    if (this.#fixtureRuns++ >= 100) await this.giveUp();
    this.#fixture ??= await Fixture.start();
    return this.#fixture;
  }

  async giveUp(): Promise<void> {
    const fixture = this.#fixture;
    this.#fixture = undefined;
    this.#fixtureRuns = 0;
    await fixture?.[Symbol.asyncDispose]();
  }
}

/** Runs one row until enough runs were not void. */
export async function runRow(fixtures: Fixtures, fault: Fault, options: RowOptions): Promise<void> {
  await using own = await fault.prepare?.();
  const ownFixtures = own && (await Fixture.start(own));
  try {
    let voids = 0;
    for (let run = 0; run < options.runs; run += 1) {
      if (options.isDone(run)) continue;
      const fixture = ownFixtures ?? (await fixtures.current());
      const result = await attempt(fixture, fault, {
        ...options,
        run,
        seed: toSeed(options.seed, fault, run, voids),
      });
      options.onRun(result);
      if ("failure" in result || !isClean(result)) {
        if (ownFixtures) return;
        await fixtures.giveUp();
      } else if (result.evidence === "") {
        voids += 1;
        if (voids > voidsMax(options.runs)) return;
        run -= 1;
      }
    }
  } finally {
    await ownFixtures?.[Symbol.asyncDispose]();
  }
}

async function attempt(fixture: Fixture, fault: Fault, options: RunOptions): Promise<AnyRun> {
  try {
    return await runOnce(fixture, fault, options);
  } catch (error) {
    const { message, cause } = error as Error;
    const failure = cause instanceof Error ? `${message}: ${cause.message}` : message;
    return { fault: fault.name, run: options.run, seed: options.seed, failure };
  }
}

/** The same for the same row and run; another one when a void run is made again. */
function toSeed(seed: number, { name }: Fault, run: number, voids: number): number {
  let hash = seed;
  for (const character of `${name} ${run} ${voids}`)
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return hash >>> 1;
}
