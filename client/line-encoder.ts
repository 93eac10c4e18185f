import { readLineSeverity } from "#client/line-severity.ts";
import { readLineTime } from "#client/line-time.ts";
import { encodeRecord } from "#client/record.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

export interface LineEncoderOptions {
  /** What the attribute `file` says. */
  readonly file: string;
  readonly logger?: string | undefined;
  /** Absent: what each line says, else INFO. */
  readonly severity?: Severity | undefined;
  /** The time of a line before any time was seen: that of its reading, or 0, which leaves it to the server. */
  readonly timeOfReading: boolean;
}

const lookAheadLinesMax = 10;

/** Makes records of the lines of one input, which are given in order. */
export class LineEncoder {
  readonly #options: LineEncoderOptions;
  #lastTime: bigint | undefined;

  constructor(options: LineEncoderOptions) {
    this.#options = options;
  }

  /** Lines before the first one with a time happened at that time, if it is among the next few. */
  lookAhead(lines: readonly { readonly bytes?: Buffer }[]): void {
    for (const { bytes } of lines.slice(0, lookAheadLinesMax)) {
      this.#lastTime ??= bytes && readLineTime(bytes)?.timeUnixNano;
    }
  }

  /** The message is the line as it is; a line without a time happened when the last one before it that had one did. */
  encode(number: number, line: Buffer): Uint8Array {
    const { file, logger, severity, timeOfReading } = this.#options;
    const time = readLineTime(line);
    if (time) this.#lastTime = time.timeUnixNano;
    return encodeRecord({
      timeUnixNano: this.#lastTime ?? (timeOfReading ? BigInt(Date.now()) * 1_000_000n : 0n),
      severity: severity ?? readLineSeverity(line, time?.byteLength ?? 0) ?? Severity.INFO,
      ...(logger === undefined ? {} : { logger }),
      message: line,
      attributes: { file, line: String(number) },
    });
  }
}
