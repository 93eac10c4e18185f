/** Counts and prints the outcome of one `fleetlog send`. */

export interface Output {
  /** The result; one line. */
  readonly result: (text: string) => void;
  /** Everything that needs a person's attention. */
  readonly problem: (text: string) => void;
  /** A line that overwrites itself; absent when the output is no terminal. */
  readonly progress?: ((text: string) => void) | undefined;
}

/** A range of lines of one input; a batch is made of one. */
export interface LineRange {
  readonly file: string;
  readonly firstLine: number;
  readonly lineCount: number;
}

/** How many refused lines are shown one by one; the rest is counted. */
const shownMax = 20;
/** How many different reasons are counted apart. */
const reasonsMax = 10;
const progressIntervalMs = 100;

export class SendReport {
  readonly #output: Output;
  readonly #startedAt = performance.now();
  #progressAt = 0;
  #notes = 0;
  #reasons = new Map<string, number>();
  linesRead = 0;
  /** Lines that a time was read from. */
  timedLines = 0;
  acknowledged = 0;
  recovered = 0;
  refused = 0;
  batches = 0;
  reconnects = 0;
  delays = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  acknowledge(recordCount: number): void {
    this.acknowledged += recordCount;
    this.batches++;
    this.#showProgress();
  }

  /** Records that an earlier run had left in the spool. */
  acknowledgeRecovered(recordCount: number): void {
    this.recovered += recordCount;
  }

  refuseRecovered(sequence: bigint, recordCount: number, reason: string): void {
    this.refused += recordCount;
    this.#output.problem(`from the spool, batch ${sequence}: ${reason}`);
  }

  /** A line that is not stored: the server refused it, or no batch could carry it. */
  refuse({ file, firstLine, lineCount }: LineRange, reason: string): void {
    const shown = this.refused;
    this.refused += lineCount;
    const kind = reason.replaceAll(/\d+/g, "N");
    if (this.#reasons.has(kind) || this.#reasons.size < reasonsMax) {
      this.#reasons.set(kind, (this.#reasons.get(kind) ?? 0) + lineCount);
    }
    if (shown < shownMax) this.#output.problem(`${file}:${lines(firstLine, lineCount)}: ${reason}`);
    else if (shown === shownMax) this.#output.problem("… more lines were rejected; see the summary");
  }

  /** A note about an input that cost no record. */
  note(text: string): void {
    this.#notes++;
    if (this.#notes <= shownMax) this.#output.problem(text);
  }

  delay(reason: string): void {
    this.delays++;
    if (isPowerOfTwo(this.delays)) this.#output.problem(`the server is overloaded: ${reason}`);
  }

  reconnect({ attempt, delayMs, reason }: { attempt: number; delayMs: number; reason: string }): void {
    this.reconnects++;
    if (isPowerOfTwo(attempt)) {
      this.#output.problem(`no connection: ${reason}; attempt ${attempt + 1} in ${delayMs} ms`);
    }
  }

  /** Prints the lines without an acknowledgement, with adjacent ranges merged. */
  unacknowledged(ranges: readonly LineRange[]): void {
    const merged: LineRange[] = [];
    for (const next of ranges) {
      const last = merged.at(-1);
      if (last?.file === next.file && last.firstLine + last.lineCount === next.firstLine) {
        merged[merged.length - 1] = { ...last, lineCount: last.lineCount + next.lineCount };
      } else {
        merged.push(next);
      }
    }
    for (const { file, firstLine, lineCount } of merged) {
      this.#output.problem(`not acknowledged: ${file}:${lines(firstLine, lineCount)}`);
    }
  }

  summarize(sessionId: string): void {
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    const reasons = [...this.#reasons].map(([kind, count]) => `${number(count)} × ${kind}`);
    this.#output.result(
      [
        `${number(this.linesRead)} lines read`,
        `${number(this.acknowledged)} records acknowledged`,
        ...(this.recovered > 0 ? [`${number(this.recovered)} records of earlier runs`] : []),
        `${number(this.refused)} rejected${reasons.length > 0 ? ` (${reasons.join("; ")})` : ""}`,
        `${number(this.batches)} batches`,
        `${number(this.reconnects)} reconnects`,
        ...(this.delays > 0 ? [`${number(this.delays)} batches retried on request of the server`] : []),
        `${number(this.timedLines)} lines with a time`,
        `${seconds.toFixed(1)} s`,
        `session ${sessionId}`,
      ].join(", "),
    );
  }

  #showProgress(): void {
    const now = performance.now();
    if (!this.#output.progress || now - this.#progressAt < progressIntervalMs) return;
    this.#progressAt = now;
    const rate = this.acknowledged / ((now - this.#startedAt) / 1_000);
    this.#output.progress(
      `${number(this.linesRead)} lines read, ${number(this.acknowledged)} acknowledged, ${number(Math.round(rate))}/s`,
    );
  }
}

/** A message per event would fill the screen; powers of two show that it still runs. */
function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0;
}

/** "7", or "7-12" for more than one line. */
function lines(first: number, count: number): string {
  return count === 1 ? `${first}` : `${first}-${first + count - 1}`;
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}
