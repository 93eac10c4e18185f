import { constants, createReadStream } from "node:fs";
import { access, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { limits } from "#batch/limits.ts";
import type { DeviceLog } from "#client/device-log.ts";
import { decodeInput } from "#client/files/decode-input.ts";
import type { Line } from "#client/files/line-splitter.ts";
import { readLines } from "#client/files/read-lines.ts";
import { readPipe } from "#client/files/read-pipe.ts";
import { LineEncoder, type NumberedLine, type ReadRecord } from "#client/lines/line-encoder.ts";
import type { SendOptions } from "#client/send/send.ts";
import type { LineRange, SendReport } from "#client/send/send-report.ts";

/** An input that cannot be read, found before anything is sent. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** The lines that a batch was made of, one range for each of its records. */
export interface Origin {
  readonly file: string;
  readonly records: { readonly firstLine: number; readonly lastLine: number }[];
}

/** How long the last record of a pipe waits for a continuation line. */
const continuationMs = 500;

/** True when all inputs are plain files. */
export async function checkInputs(inputs: readonly string[]): Promise<boolean> {
  let areFiles = true;
  for (const input of inputs) {
    if (input === "-") {
      areFiles = false;
      continue;
    }
    try {
      await access(input, constants.R_OK);
      const stats = await stat(input);
      if (stats.isDirectory()) throw new Error("it is a directory");
      areFiles &&= stats.isFile();
    } catch (error) {
      throw new InputError(`cannot read ${input}: ${(error as Error).message}`, { cause: error });
    }
  }
  return areFiles;
}

export interface ReadDependencies {
  readonly stdin: Readable;
  readonly stop: AbortSignal;
  readonly log: DeviceLog<Origin>;
  readonly report: SendReport;
  readonly areFiles: boolean;
}

/** Reads all inputs; reports one that fails halfway to `fail` and continues with the next. */
export async function readInputs(
  options: SendOptions,
  dependencies: ReadDependencies,
  fail: (error: unknown) => void,
): Promise<void> {
  const { stdin, stop } = dependencies;
  for (const path of options.inputs) {
    if (stop.aborted) return;
    const isFile = path !== "-" && (await stat(path)).isFile();
    const source = path === "-" ? stdin : createReadStream(path, { highWaterMark: 256 * 1024 });
    const input = {
      file: path === "-" ? "stdin" : path,
      chunks: isFile ? source : readPipe(source, stop),
      // Data read from a pipe cannot be read again.
      isStopped: () => isFile && stop.aborted,
    };
    try {
      await readInput(input, options, dependencies);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      fail(error);
    }
  }
}

interface Input {
  readonly file: string;
  readonly chunks: AsyncIterable<Buffer>;
  readonly isStopped: () => boolean;
}

/** Wraps a read error as InputError, to distinguish it from a failure of the stream that sends. */
export async function* asInput(file: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* chunks;
  } catch (error) {
    throw new InputError(`cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}

async function readInput(
  { file, chunks, isStopped }: Input,
  options: SendOptions,
  { stop, log, report, areFiles }: ReadDependencies,
): Promise<void> {
  const encoder = await createEncoder(file, options, areFiles);
  const write = async (record: ReadRecord | undefined) => {
    if (record === undefined) return;
    const { firstLine, lastLine } = record;
    await log.write(encoder.encode(record), { file, records: [{ firstLine, lastLine }] });
  };
  let waiting: NodeJS.Timeout | undefined;
  try {
    for await (const lines of readLines(asInput(file, decodeInput(chunks)), limits.messageBytesMax)) {
      clearTimeout(waiting);
      if (lines[0]?.number === 1) encoder.lookAhead(areFiles ? lines : []);
      for (const line of lines) {
        report.linesRead++;
        if (line.skippedNuls > 0) {
          report.note(`${file}:${line.number}: skipped ${line.skippedNuls} NUL bytes, a hole in the file`);
          if (line.byteLength === 0) continue;
        }
        await write(encoder.add(truncateLine(line)));
        if (isStopped()) return;
      }
      // A pipe may stay silent for hours before it shows whether a record continues. Later calls report a
      // failed stream.
      if (!areFiles) waiting = setTimeout(() => void write(encoder.finish()).catch(() => {}), continuationMs);
    }
  } finally {
    clearTimeout(waiting);
    report.timedLines += encoder.counts.timedLines;
    if (!areFiles || !stop.aborted) {
      await write(encoder.finish());
      await log.cut();
    }
  }
}

/** Truncates a line to the size of a message, at a character boundary. */
export function truncateLine({ number, bytes, byteLength }: Line): NumberedLine {
  if (byteLength <= bytes.byteLength) return { number, bytes };
  let end = bytes.byteLength;
  while (end > 0 && end > bytes.byteLength - 4 && (bytes[end - 1]! & 0xc0) === 0x80) end -= 1;
  const lead = bytes[end - 1] ?? 0;
  const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  const isWhole = end - 1 + length === bytes.byteLength;
  return { number, bytes: isWhole ? bytes : bytes.subarray(0, Math.max(0, end - 1)), cutFrom: byteLength };
}

async function createEncoder(file: string, options: SendOptions, areFiles: boolean): Promise<LineEncoder> {
  const { logger, severity, multiline, timeFormat, timeZone } = options;
  const modifiedAt = file === "stdin" ? undefined : (await stat(file)).mtimeMs;
  return new LineEncoder({
    file,
    logger,
    severity,
    multiline,
    format: timeFormat,
    zone: timeZone,
    nowMs: modifiedAt,
    isLive: !areFiles,
  });
}

/** The lines of the records `from` to `to` of a batch. */
export function toLineRange({ file, records }: Origin, from = 0, to = records.length - 1): LineRange {
  const firstLine = records[from]?.firstLine ?? 0;
  return { file, firstLine, lineCount: (records[to]?.lastLine ?? firstLine) - firstLine + 1 };
}
