import { once } from "node:events";
import type { Readable } from "node:stream";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { DeviceLog } from "#client/device-log.ts";
import { checkInputs, type Origin, readInputs, toLineRange } from "#client/files/read-inputs.ts";
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
  /** Absent: parsed from each line, INFO if the line has none. */
  readonly severity?: Severity | undefined;
  /** Default "auto": a stack trace is one record with the error before it. */
  readonly multiline?: Multiline | undefined;
  /** The only time format to parse. */
  readonly timeFormat?: TimeFormat | undefined;
  /** The zone of times without one; default this machine's. */
  readonly timeZone?: TimeZone | undefined;
  readonly sessionId?: string | undefined;
  readonly batchRecordsMax?: number | undefined;
  /** How long to continue without any acknowledgement; default 5 min, with a spool unlimited. */
  readonly giveUpAfterMs?: number | undefined;
  /** A folder that keeps unsent batches; the next run with the same folder sends them. */
  readonly spool?: string | undefined;
  /** When a batch is settled; default when it is accepted. See DeviceStreamOptions. */
  readonly keepUntil?: "accepted" | "committed" | undefined;
}

export interface SendDependencies {
  readonly stdin: Readable;
  readonly output: Output;
  /** Ctrl-C aborts it: reading stops, and read records have {@link drainMsMax} to be acknowledged. */
  readonly signal: AbortSignal;
}

/** The exit codes of `fleetlog send`. */
export const exitCodes = { acknowledged: 0, failed: 1, refused: 2, interrupted: 130 } as const;

const intervalMs = 200;
const drainMsMax = 10_000;

/**
 * Sends every line of the inputs as one record, in order, byte for byte, and returns the exit code. The
 * batches in flight bound its memory, however long the inputs or slow the server. Throws {@link
 * InputError}.
 *
 * The same files make the same batches: size alone decides where they are cut, and a line without a known
 * time has none. A repeated run with the same session is therefore recognised as stored. Batches from a
 * pipe are also cut by time, and a line without a time gets the time of its reading.
 */
export async function send(
  options: SendOptions,
  { stdin, output, signal }: SendDependencies,
): Promise<number> {
  const report = new SendReport(output);
  const { spool } = options;
  const giveUpAfterMs = options.giveUpAfterMs ?? (spool === undefined ? 300_000 : undefined);
  const areFiles = await checkInputs(options.inputs);
  const stopped = new AbortController();
  const stop = AbortSignal.any([signal, stopped.signal]);
  /** The stream accepts no more records; those that it has may still be acknowledged. */
  const unwritable = new AbortController();
  using stream = openSendStream(options, {
    report,
    output,
    onFailed: () => stopped.abort(), // stops reading even from a silent pipe
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
  const sendAll = async () => {
    try {
      await reading;
    } catch (error) {
      fail(error); // reported before the flush: read records may wait long for their acknowledgement
    } finally {
      if (options.keepUntil === "committed") await flushWhileProgressing(stream, giveUpAfterMs);
      else await stream.flush();
    }
  };
  await Promise.race([sendAll(), aborted(stop)]).catch(fail);
  if (!areFiles) {
    const finish = Promise.race([reading, aborted(stopped.signal)]);
    await withDeadline("reading the rest of the pipe", drainMsMax, finish).catch(fail);
  }
  // After a stop: a repeated run would not make the same short batch again, so it is not sent.
  await (areFiles ? stream : log).flush(drainMsMax).catch(fail);

  const left = [...stream.unacknowledged, ...log.unsent];
  report.unacknowledged(left.map(({ note }) => toLineRange(note)));
  const spooled = stream.unacknowledged.length + stream.recoveredCount;
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

/** Accepted batches may take long to reach PostgreSQL; continue as long as some are committed. */
async function flushWhileProgressing(
  stream: DeviceStream<Origin>,
  silenceMsMax: number | undefined,
): Promise<void> {
  for (;;) {
    const before = stream.unacknowledged.length + stream.recoveredCount;
    try {
      return await stream.flush(silenceMsMax);
    } catch (error) {
      const after = stream.unacknowledged.length + stream.recoveredCount;
      if (!(error instanceof DeadlineError) || after >= before) throw error;
    }
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
