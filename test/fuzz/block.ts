import { crc32 } from "node:zlib";
import { Random } from "#batch/testing/random.ts";
import type { Target } from "./target.ts";

/** One kind of hostile input. */
export interface Block {
  readonly name: string;
  readonly title: string;
  /** Cases of `npm run fuzz`, and of `npm test`. */
  readonly countFull: number;
  readonly countSmoke: number;
  /** Cases in flight at the same time. */
  readonly workers: number;
  start(target: Target): Promise<BlockRun>;
}

export interface BlockRun {
  /**
   * Does one case, all of whose choices come from `random`. Returns in a few words what the answer was; throws when it
   * is one that must not be. `note` says what is tried, for the report of a failure.
   */
  tryOne(random: Random, index: number, note: (what: string) => void): Promise<string>;
  /** What can only be judged at the end; throws when it is not as it must be. Then lets go of everything. */
  finish(): Promise<void>;
}

/** The choices of one case: they depend on nothing but these three, so every case can be made again alone. */
export function caseRandom(seed: number, block: string, index: number): Random {
  return new Random(crc32(`${seed}/${block}/${index}`));
}

/** An answer, or a silence, that must not be, whatever was sent. */
export class BrokenPromiseError extends Error {
  override readonly name = "BrokenPromiseError";
}
