import { epochNanos } from "#batch/structured/epoch-time.ts";
import { readStructuredLine, type StructuredLine } from "#client/lines/structured-line.ts";
import { type LineTime, type TimeContext, type TimeFormat, timeFormats } from "#client/lines/time-formats.ts";
import type { TimeZone } from "#client/lines/time-zone.ts";

export interface TimeReaderOptions {
  /** Of times that name no zone; default this machine's. */
  readonly zone?: TimeZone | undefined;
  /** The only format to read, instead of all that are known. */
  readonly format?: TimeFormat | undefined;
  /** About when the lines were written, for times without a year; default the time at which each is read. */
  readonly nowMs?: number | undefined;
}

/** No format reaches further into a line. */
const headBytesMax = 256;

/** The head of a line: time, severity and other values before its text. */
export interface LineHead {
  readonly time: bigint | undefined;
  /** Offset of the text after the time. */
  readonly end: number;
  readonly structured: StructuredLine | undefined;
  /** Which format the time has; "" without a time. */
  readonly format: string;
}

/**
 * Reads the times of the lines of one input. Most inputs have one format all through, so the one that fitted last is
 * tried first.
 */
export class TimeReader {
  readonly #context: TimeContext;
  readonly #formats: TimeFormat[];
  readonly #isGiven: boolean;

  constructor({ zone = "local", format, nowMs }: TimeReaderOptions = {}) {
    this.#context = {
      zone,
      // The year changes while a pipe is read.
      get nowMs() {
        return nowMs ?? Date.now();
      },
    };
    this.#isGiven = format !== undefined;
    this.#formats = format === undefined ? [...timeFormats] : [format];
  }

  read(line: Buffer): LineHead {
    const structured = readStructuredLine(line);
    // The fields of JSON; those of logfmt count unless the line begins with its time.
    const text =
      structured?.isJson && !this.#isGiven
        ? undefined
        : this.#readText(line.toString("latin1", 0, headBytesMax));
    if (text) return { time: text.timeUnixNano, end: text.end, structured, format: text.format };
    const field = this.#isGiven ? undefined : this.#readFields(structured?.times ?? []);
    return { time: field?.time, end: 0, structured, format: field?.format ?? "" };
  }

  #readFields(values: readonly (string | number)[]): { time: bigint; format: string } | undefined {
    for (const value of values) {
      const read = this.#readValue(value);
      if (read) return read;
    }
    return undefined;
  }

  #readText(head: string): (LineTime & { format: string }) | undefined {
    if (!/\d/.test(head)) return undefined;
    for (const [index, format] of this.#formats.entries()) {
      const time = format.read(head, this.#context);
      if (time === undefined) continue;
      if (index > 0) {
        this.#formats.splice(index, 1);
        this.#formats.unshift(format);
      }
      return { ...time, format: format.name };
    }
    return undefined;
  }

  /** Parses a time field, which must contain nothing else. */
  #readValue(value: string | number): { time: bigint; format: string } | undefined {
    const text = String(value).trim();
    const [, whole, fraction] = /^(\d{10,19})(?:\.(\d+))?$/.exec(text) ?? [];
    const epoch = whole === undefined ? undefined : epochNanos(whole, fraction);
    if (epoch !== undefined) return { time: epoch, format: "a field, since 1970" };
    const read = this.#readText(text);
    return read?.end === text.length
      ? { time: read.timeUnixNano, format: `a field, ${read.format}` }
      : undefined;
  }
}
