import { once } from "node:events";
import { constants, createReadStream } from "node:fs";
import { access, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { recordBytesMax } from "#client/batch-builder.ts";
import { DeviceLog } from "#client/device-log.ts";
import { DeviceStream } from "#client/device-stream.ts";
import { LineEncoder } from "#client/line-encoder.ts";
import { readLines } from "#client/read-lines.ts";
import { type Output, SendReport, type Stretch } from "#client/send-report.ts";
import { DeadlineError } from "#lib/deadline.ts";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

export interface SendOptions {
  readonly deviceId: string;
  /** Paths; "-" is standard input. */
  readonly inputs: readonly string[];
  readonly address?: string | undefined;
  /** Default: without TLS. */
  readonly credentials?: ChannelCredentials | undefined;
  readonly logger?: string | undefined;
  /** Absent: read from each line, INFO where it does not say. */
  readonly severity?: Severity | undefined;
  readonly sessionId?: string | undefined;
  readonly batchRecordsMax?: number | undefined;
  /** How long to go on without any acknowledgement; default 5 min. */
  readonly giveUpAfterMs?: number | undefined;
  /** A folder: what could not be sent stays there, and is sent by the next run that has it. */
  readonly spool?: string | undefined;
  /** When a batch is done; default when it is accepted. See DeviceStreamOptions. */
  readonly keepUntil?: "accepted" | "committed" | undefined;
}

/** A server tells the first 100 rejected records of a batch. */
const moreRejected = "more records of the batch are rejected";

export interface SendSurroundings {
  readonly stdin: Readable;
  readonly output: Output;
  /** Aborted by Ctrl-C: nothing more is read, and what was read gets {@link drainMsMax} to be acknowledged. */
  readonly signal: AbortSignal;
}

/** How `fleetlog send` ends. */
export const exitCodes = { acknowledged: 0, failed: 1, refused: 2, interrupted: 130 } as const;

/** An input that cannot be read, found before anything is sent. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** The place of a batch's first line; the others follow it without a gap. */
interface Origin {
  readonly file: string;
  readonly line: number;
}

const intervalMs = 200;
const drainMsMax = 10_000;

/** Beyond this a line fits into no batch. Between a message's limit and this, the server refuses and keeps it. */
const lineBytesMax = recordBytesMax - 16 * 1024;

/**
 * Sends every line of the inputs as one record, in order, byte for byte, and returns the exit code. Memory is bounded
 * by the batches under way, however long the inputs or slow the server. Throws {@link InputError}.
 *
 * From files, or with a session given, the same input makes the same batches: they are cut by size alone, and a line
 * of which no time is known has none. Run again with the same session, what is stored already is then recognised.
 * From a pipe, batches are also cut by time, and a line without a time has that of its reading.
 */
export async function send(
  options: SendOptions,
  { stdin, output, signal }: SendSurroundings,
): Promise<number> {
  const report = new SendReport(output);
  const { giveUpAfterMs = 300_000, spool } = options;
  const areFiles = await checkInputs(options.inputs);
  const isRepeatable = areFiles || options.sessionId !== undefined;
  const stopped = new AbortController();
  const stop = AbortSignal.any([signal, stopped.signal]);
  using stream = new DeviceStream<Origin>({
    deviceId: options.deviceId,
    sessionId: options.sessionId,
    address: options.address,
    credentials: options.credentials,
    giveUpAfterMs,
    keepUntil: options.keepUntil,
    spool: options.spool === undefined ? undefined : { folder: options.spool },
    earlier: {
      onAcknowledged: ({ recordCount, sequence }, { accepted, rejections }) => {
        report.acknowledgeEarlier(accepted);
        for (const { index, reason } of rejections)
          report.refuseEarlier(sequence, 1, `record ${index}: ${reason}`);
        const untold = recordCount - accepted - rejections.length;
        if (untold > 0) report.refuseEarlier(sequence, untold, `${untold} ${moreRejected}`);
      },
      onRefused: ({ recordCount, sequence }, { message }) =>
        report.refuseEarlier(sequence, recordCount, message),
    },
    onSpoolProblem: (problem) => output.problem(`spool: ${problem}`),
    onAcknowledged: ({ note: { file, line } }, ack) => {
      for (const { index, reason } of ack.rejections) {
        report.refuse({ file, firstLine: line + index, lineCount: 1 }, reason);
      }
      const untold = ack.rejected - ack.rejections.length;
      if (untold > 0) report.refuse({ file, firstLine: line, lineCount: untold }, moreRejected);
      report.acknowledge(ack.accepted);
    },
    onRefused: (batch, error) => report.refuse(stretchOf(batch), error.message),
    onDelayed: (_batch, error) => report.delay(error.message),
    onReconnect: (failure) => report.reconnect(failure),
    onFailed: () => stopped.abort(), // a silent pipe would never let us notice
  });
  const log = new DeviceLog<Origin>(stream, {
    recordsMax: options.batchRecordsMax,
    intervalMs: isRepeatable ? undefined : intervalMs,
  });

  const failures = new Set<string>();
  const fail = (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    if (!failures.has(message)) output.problem(message);
    failures.add(message);
  };
  const sending = async () => {
    try {
      await readInputs(options, { stdin, stop, log, report, areFiles, isRepeatable });
    } finally {
      if (options.keepUntil === "committed") await flushWhileItMoves(stream, giveUpAfterMs);
      else await stream.flush();
    }
  };
  await Promise.race([sending(), aborted(stop)]).catch(fail);
  // When stopped: a batch cut short would not be made again by a repeated run, which is better without it.
  await (isRepeatable ? stream : log).flush(drainMsMax).catch(fail);

  const left = [...stream.unacknowledged, ...(log.gathered ? [log.gathered] : [])];
  report.unacknowledged(left.map(stretchOf));
  const spooled = stream.unacknowledged.length + stream.earlierCount;
  if (spool !== undefined && spooled > 0) {
    output.problem(`${spooled} batches are kept in ${spool}: the next run with the same --spool sends them`);
  }
  report.summarize(stream.sessionId);
  if (isRepeatable && (failures.size > 0 || stop.aborted)) {
    output.problem(`run it again with --session ${stream.sessionId}: what is stored already is recognised`);
  }
  if (failures.size > 0) return exitCodes.failed;
  if (signal.aborted) return exitCodes.interrupted;
  return report.refused > 0 ? exitCodes.refused : exitCodes.acknowledged;
}

/** True when all inputs are plain files. */
async function checkInputs(inputs: readonly string[]): Promise<boolean> {
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

interface ReadSurroundings {
  readonly stdin: Readable;
  readonly stop: AbortSignal;
  readonly log: DeviceLog<Origin>;
  readonly report: SendReport;
  readonly areFiles: boolean;
  readonly isRepeatable: boolean;
}

async function readInputs(options: SendOptions, surroundings: ReadSurroundings): Promise<void> {
  const { stdin, stop } = surroundings;
  for (const input of options.inputs) {
    if (stop.aborted) return;
    const source = input === "-" ? stdin : createReadStream(input, { highWaterMark: 256 * 1024 });
    const destroy = () => source.destroy();
    stop.addEventListener("abort", destroy, { once: true });
    try {
      await readInput(input === "-" ? "stdin" : input, source, options, surroundings);
    } catch (error) {
      if (!stop.aborted) throw error; // destroyed by us
    } finally {
      stop.removeEventListener("abort", destroy);
    }
  }
}

async function readInput(
  file: string,
  source: AsyncIterable<Buffer>,
  { logger, severity }: SendOptions,
  { stop, log, report, areFiles, isRepeatable }: ReadSurroundings,
): Promise<void> {
  const encoder = new LineEncoder({ file, logger, severity, timeOfReading: !isRepeatable });
  for await (const lines of readLines(source, lineBytesMax)) {
    // Only of a file is it certain that the same lines come together again in a repeated run.
    if (areFiles && lines[0]?.number === 1) encoder.lookAhead(lines);
    for (const { number, bytes, byteLength } of lines) {
      report.linesRead++;
      if (bytes) {
        await log.write(encoder.encode(number, bytes), { file, line: number });
      } else {
        await log.cut(); // the lines of a batch follow each other without a gap
        const reason = `the line is ${byteLength} bytes long and fits into no batch, the limit is ${lineBytesMax}`;
        report.refuse({ file, firstLine: number, lineCount: 1 }, reason);
      }
      if (stop.aborted) return;
    }
  }
  await log.cut();
}

/** What is accepted may be on its way to PostgreSQL for long: that is well as long as there is some progress. */
async function flushWhileItMoves(stream: DeviceStream<Origin>, silenceMsMax: number): Promise<void> {
  for (;;) {
    const before = stream.unacknowledged.length + stream.earlierCount;
    try {
      return await stream.flush(silenceMsMax);
    } catch (error) {
      const after = stream.unacknowledged.length + stream.earlierCount;
      if (!(error instanceof DeadlineError) || after >= before) throw error;
    }
  }
}

function stretchOf({ note, recordCount }: { note: Origin; recordCount: number }): Stretch {
  return { file: note.file, firstLine: note.line, lineCount: recordCount };
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
