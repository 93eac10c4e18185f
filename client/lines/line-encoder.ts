import type { TraceFields } from "#batch/structured/trace-fields.ts";
import { LineJoiner, type Multiline } from "#client/lines/line-joiner.ts";
import { readLineSeverity } from "#client/lines/line-severity.ts";
import { type LineHead, TimeReader, type TimeReaderOptions } from "#client/lines/time-reader.ts";
import { encodeRecord } from "#client/stream/record.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

export interface LineEncoderOptions extends TimeReaderOptions {
  /** The value of the attribute `file`. */
  readonly file: string;
  readonly logger?: string | undefined;
  /** Absent: parsed from each record, else INFO. */
  readonly severity?: Severity | undefined;
  /** Default "auto". */
  readonly multiline?: Multiline | undefined;
  /**
   * Whether lines may come long after those before them. Then a line without a time, and that continues no record, has
   * that of its reading; otherwise that of the line before.
   */
  readonly isLive: boolean;
}

/** One line of an input, from 1. */
export interface NumberedLine {
  readonly number: number;
  readonly bytes: Buffer;
  /** The length of a truncated line; absent when `bytes` is the whole line. */
  readonly cutFrom?: number | undefined;
}

/** The lines of one record. */
export interface ReadRecord {
  /** Nanoseconds since 1970; 0: unknown, so the server's time of receipt applies. */
  readonly timeUnixNano: bigint;
  /** Which format its time has; "": it has none of its own. */
  readonly timeFormat: string;
  readonly severity: Severity;
  readonly trace: TraceFields;
  readonly message: Buffer;
  readonly firstLine: number;
  readonly lastLine: number;
  /** See {@link NumberedLine.cutFrom}. */
  readonly cutFrom: number | undefined;
}

interface Gathered {
  readonly lines: NumberedLine[];
  /** Of the first line. */
  readonly text: Buffer;
  isTrace: boolean;
  readonly head: LineHead;
  readonly readAtMs: number;
}

const lookAheadLinesMax = 10;
const newline = Buffer.from("\n");

/** Makes records from the lines of one input, added in order. */
export class LineEncoder {
  readonly #options: LineEncoderOptions;
  readonly #times: TimeReader;
  readonly #joiner: LineJoiner;
  #gathered: Gathered | undefined;
  #lastTime: bigint | undefined;
  /** Lines so far, and those of them that a time of their own was read from. */
  readonly counts = { lines: 0, timedLines: 0 };

  constructor(options: LineEncoderOptions) {
    this.#options = options;
    this.#times = new TimeReader(options);
    this.#joiner = new LineJoiner(options.multiline);
  }

  /** Lines before the first one with a time get that time, if it is among the next few. */
  lookAhead(lines: readonly { readonly bytes?: Buffer }[]): void {
    for (const { bytes } of lines.slice(0, lookAheadLinesMax)) {
      this.#lastTime ??= bytes && this.#times.read(withoutColors(bytes)).time;
    }
  }

  /** Adds a line; returns the record before it, which it ends. */
  add(line: NumberedLine): ReadRecord | undefined {
    const text = withoutColors(line.bytes);
    const head = this.#times.read(text);
    this.counts.lines += 1;
    if (head.time !== undefined) this.counts.timedLines += 1;
    const continues = this.#joiner.continues(text, head.time !== undefined, line.bytes.byteLength);
    const { isTrace } = this.#joiner;
    if (continues && this.#gathered) {
      this.#gathered.lines.push(line);
      this.#gathered.isTrace = isTrace;
      return undefined;
    }
    const ended = this.finish();
    this.#gathered = { lines: [line], text, isTrace, head, readAtMs: Date.now() };
    return ended;
  }

  /** Ends and returns the current record; undefined when there is none. */
  finish(): ReadRecord | undefined {
    const gathered = this.#gathered;
    this.#gathered = undefined;
    if (gathered === undefined) return undefined;
    const { lines, text, isTrace, head, readAtMs } = gathered;
    if (head.time !== undefined) this.#lastTime = head.time;
    const { isLive, severity } = this.#options;
    const inherited = isLive ? BigInt(readAtMs) * 1_000_000n : (this.#lastTime ?? 0n);
    const [first] = lines as [NumberedLine];
    return {
      timeUnixNano: head.time ?? inherited,
      timeFormat: head.format,
      severity: severity ?? readLineSeverity(text, head.end, head.structured) ?? unsaid(isTrace),
      trace: head.structured?.trace ?? {},
      message: joined(lines),
      firstLine: first.number,
      lastLine: lines.at(-1)?.number ?? first.number,
      cutFrom: lines.find(({ cutFrom }) => cutFrom !== undefined)?.cutFrom,
    };
  }

  /** The message is the lines as they are. */
  encode(record: ReadRecord): Uint8Array {
    const { file, logger } = this.#options;
    return encodeRecord({
      timeUnixNano: record.timeUnixNano,
      severity: record.severity,
      ...(logger === undefined ? {} : { logger }),
      ...record.trace,
      message: record.message,
      attributes: {
        file,
        line: String(record.firstLine),
        ...(record.cutFrom !== undefined && { cut_from_bytes: String(record.cutFrom) }),
      },
    });
  }
}

function joined(lines: readonly NumberedLine[]): Buffer {
  const [first] = lines as [NumberedLine];
  if (lines.length === 1) return first.bytes;
  return Buffer.concat(lines.flatMap(({ bytes }, index) => (index === 0 ? [bytes] : [newline, bytes])));
}

/** The severity of a record whose first line has none: a stack trace is an error. */
function unsaid(isTrace: boolean): Severity {
  return isTrace ? Severity.ERROR : Severity.INFO;
}

const escape = 0x1b;
/** No time and no severity starts beyond this offset. */
const headBytesMax = 1_024;
const colors = new RegExp(`${String.fromCharCode(escape)}\\[[\\d;]*m`, "g");

/** Strips ANSI colors before a line is parsed: many programs color their output even in pipes and files. */
function withoutColors(line: Buffer): Buffer {
  const at = line.indexOf(escape);
  if (at < 0 || at >= headBytesMax) return line;
  return Buffer.from(line.toString("latin1").replaceAll(colors, ""), "latin1");
}
