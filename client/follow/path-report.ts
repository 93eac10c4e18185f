import type { FilePosition } from "#client/follow/position-journal.ts";

const problemsMax = 100;

/** Reports the problems of one path, each once, and its losses. */
export class PathReport {
  readonly #path: string;
  readonly #report: (problem: string) => void;
  readonly #problems = new Set<string>();
  /** Logs that were gone before they were known to be read to their end. */
  lostLogs = 0;

  constructor(path: string, tell: (problem: string) => void) {
    this.#path = path;
    this.#report = tell;
  }

  problem(problem: string): void {
    if (this.#problems.has(problem) || this.#problems.size >= problemsMax) return;
    this.#problems.add(problem);
    this.#report(`${this.#path}: ${problem}`);
  }

  /** It was read until a moment before, so only data written in that moment can be missing. */
  truncated({ offset }: FilePosition): void {
    const what = `it was truncated or written anew behind byte ${offset}, and no copy of it was found`;
    this.problem(`${what}: what was not read by then is lost`);
  }

  lost({ offset }: FilePosition): void {
    this.lostLogs++;
    const what = `the file that was read up to byte ${offset} is gone, and no copy of it was found`;
    this.#report(`${this.#path}: ${what}: what it had behind that is lost`);
  }
}
