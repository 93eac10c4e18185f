import { once } from "node:events";
import type { Readable } from "node:stream";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { DeviceLog } from "#client/device-log.ts";
import { checkInputs, type Origin, readInputs, stretchOf } from "#client/files/read-inputs.ts";
import type { Multiline } from "#client/lines/line-joiner.ts";
import type { TimeFormat } from "#client/lines/time-formats.ts";
import type { TimeZone } from "#client/lines/time-zone.ts";
import { type Output, SendReport } from "#client/send/send-report.ts";
import { openSendStream } from "#client/send/send-stream.ts";
import type { DeviceStream } from "#client/stream/device-stream.ts";
import { DeadlineError, withDeadline } from "#lib/deadline.ts";
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
  /** Default "auto": the lines of a stack trace are one record with the error before them. */
  readonly multiline?: Multiline | undefined;
  /** The only format of times to read. */
  readonly timeFormat?: TimeFormat | undefined;
  /** Of times that name no zone; default this machine's. */
  readonly timeZone?: TimeZone | undefined;
  readonly sessionId?: string | undefined;
  readonly batchRecordsMax?: number | undefined;
  /** How long to go on without any acknowledgement; default 5 min, with a spool forever. */
  readonly giveUpAfterMs?: number | undefined;
  /** A folder: what could not be sent stays there, and is sent by the next run that has it. */
  readonly spool?: string | undefined;
  /** When a batch is done; default when it is accepted. See DeviceStreamOptions. */
  readonly keepUntil?: "accepted" | "committed" | undefined;
}

export interface SendSurroundings {
  readonly stdin: Readable;
  readonly output: Output;
  /** Aborted by Ctrl-C: nothing more is read, and what was read gets {@link drainMsMax} to be acknowledged. */
  readonly signal: AbortSignal;
}

/** How `fleetlog send` ends. */
export const exitCodes = { acknowledged: 0, failed: 1, refused: 2, interrupted: 130 } as const;

const intervalMs = 200;
const drainMsMax = 10_000;

/**
 * Sends every line of the inputs as one record, in order, byte for byte, and returns the exit code. Memory is bounded
 * by the batches under way, however long the inputs or slow the server. Throws {@link InputError}.
 *
 * Of files the same input makes the same batches: they are cut by size alone, and a line of which no time is known has
 * none. Run again with the same session, what is stored already is then recognised. From a pipe, batches are also cut by
 * time, and a line without a time has that of its reading.
 */
export async function send(
  options: SendOptions,
  { stdin, output, signal }: SendSurroundings,
): Promise<number> {
  const report = new SendReport(output);
  const { spool } = options;
  const giveUpAfterMs = options.giveUpAfterMs ?? (spool === undefined ? 300_000 : undefined);
  const areFiles = await checkInputs(options.inputs);
  const stopped = new AbortController();
  const stop = AbortSignal.any([signal, stopped.signal]);
  /** Nothing more can be taken; what was taken may still be acknowledged. */
  const unwritable = new AbortController();
  using stream = openSendStream(options, {
    report,
    output,
    onFailed: () => stopped.abort(), // a silent pipe would never let us notice
  });
  const log = new DeviceLog<Origin>(stream, {
    recordsMax: options.batchRecordsMax,
    intervalMs: areFiles ? undefined : intervalMs,
    addNote: (first, next) => first.records.push(...next.records),
    onFailed: () => unwritable.abort(),
  });

  const failures = new Set<string>();
  const fail = (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    if (!failures.has(message)) output.problem(message);
    failures.add(message);
  };
  const stopReading = AbortSignal.any([stop, unwritable.signal]);
  const reading = readInputs(options, { stdin, stop: stopReading, log, report, areFiles }, fail);
  const sending = async () => {
    try {
      await reading;
    } catch (error) {
      fail(error); // said at once: what was read before may wait long for its acknowledgement
    } finally {
      if (options.keepUntil === "committed") await flushWhileItMoves(stream, giveUpAfterMs);
      else await stream.flush();
    }
  };
  await Promise.race([sending(), aborted(stop)]).catch(fail);
  if (!areFiles) {
    const lastWords = Promise.race([reading, aborted(stopped.signal)]);
    await withDeadline("reading the rest of the pipe", drainMsMax, lastWords).catch(fail);
  }
  // When stopped: a batch cut short would not be made again by a repeated run, which is better without it.
  await (areFiles ? stream : log).flush(drainMsMax).catch(fail);

  const left = [...stream.unacknowledged, ...log.unsent];
  report.unacknowledged(left.map(({ note }) => stretchOf(note)));
  const spooled = stream.unacknowledged.length + stream.earlierCount;
  if (spool !== undefined && spooled > 0) {
    output.problem(`${spooled} batches remain in ${spool}: the next run with the same --spool sends them`);
  }
  report.summarize(stream.sessionId);
  if (areFiles && (failures.size > 0 || stop.aborted)) {
    output.problem(
      `to retry, use --session ${stream.sessionId}: records that are already stored are skipped`,
    );
  }
  if (failures.size > 0) return exitCodes.failed;
  if (signal.aborted) return exitCodes.interrupted;
  return report.refused > 0 ? exitCodes.refused : exitCodes.acknowledged;
}

/** What is accepted may be on its way to PostgreSQL for long: that is well as long as there is some progress. */
async function flushWhileItMoves(
  stream: DeviceStream<Origin>,
  silenceMsMax: number | undefined,
): Promise<void> {
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

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
