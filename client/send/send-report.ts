/** What happened to the lines of one `fleetlog send`, and how it is told. */

export interface Output {
  /** The result; one line. */
  readonly result: (text: string) => void;
  /** Everything worth a person's attention. */
  readonly problem: (text: string) => void;
  /** A line that overwrites itself; absent where nobody watches. */
  readonly progress?: ((text: string) => void) | undefined;
}

/** A stretch of lines of one input, which is what a batch is made of. */
export interface Stretch {
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
  earlier = 0;
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
  acknowledgeEarlier(recordCount: number): void {
    this.earlier += recordCount;
  }

  refuseEarlier(sequence: bigint, recordCount: number, reason: string): void {
    this.refused += recordCount;
    this.#output.problem(`from the spool, batch ${sequence}: ${reason}`);
  }

  /** A line that is not stored: the server refused it, or no batch could carry it. */
  refuse({ file, firstLine, lineCount }: Stretch, reason: string): void {
    const shown = this.refused;
    this.refused += lineCount;
    const kind = reason.replaceAll(/\d+/g, "N");
    if (this.#reasons.has(kind) || this.#reasons.size < reasonsMax) {
      this.#reasons.set(kind, (this.#reasons.get(kind) ?? 0) + lineCount);
    }
    if (shown < shownMax) this.#output.problem(`${file}:${lines(firstLine, lineCount)}: ${reason}`);
    else if (shown === shownMax) this.#output.problem("… more lines were rejected; see the summary");
  }

  /** Something about an input that took nothing from it. */
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

  /** The lines of which no verdict came, merged where one stretch continues another. */
  unacknowledged(stretches: readonly Stretch[]): void {
    const merged: Stretch[] = [];
    for (const next of stretches) {
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
        ...(this.earlier > 0 ? [`${number(this.earlier)} records of earlier runs`] : []),
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

/** Every one of many like events would fill the screen: the powers of two are enough to see that it lives. */
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
