import type { TlsOptions } from "node:tls";
import { limits } from "#batch/limits.ts";
import type { TimeZone } from "#client/lines/time-zone.ts";
import type { Output } from "#client/send/send-report.ts";
import { type DeviceRecord, encodeRecord } from "#client/stream/record.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { DeviceSenders, type DeviceSendersOptions, overflowDevice, toDeviceId } from "./device-senders.ts";
import type { SyslogFrame } from "./frame-splitter.ts";
import { describeAddress, type ListenAddress } from "./listen-address.ts";
import { openListeners } from "./listeners.ts";
import { readSyslogMessage } from "./syslog-message.ts";

export interface SyslogAgentOptions
  extends Omit<DeviceSendersOptions, "events" | "onSpoolProblem" | "onLost"> {
  readonly listen: readonly ListenAddress[];
  /** All records are of this device, and have an attribute `host`. Default: the sender's hostname, else its address. */
  readonly deviceId?: string | undefined;
  /** Of times without one. */
  readonly zone: TimeZone;
  readonly connectionsMax: number;
  readonly tls?: TlsOptions | undefined;
}

/** Datagrams that wait because a stream is full: more of them are dropped, and counted. */
const datagramBytesMax = 16 * 1024 * 1024;
/** What a record takes beside its text, about. */
const besideBytes = 512;
const dropReportMs = 10_000;
const drainMsMax = 5_000;

/** Receives syslog and sends it, until the signal. Returns 0 when everything is settled or spooled, else 1. */
export async function runSyslogAgent(
  options: SyslogAgentOptions,
  { output, signal }: { readonly output: Output; readonly signal: AbortSignal },
): Promise<number> {
  const counts = { received: 0, dropped: 0, lost: 0, rejected: 0, reconnects: 0 };
  const onProblem = limitedReport(output);
  const senders = new DeviceSenders({
    ...options,
    onSpoolProblem: (problem) => onProblem(`spool: ${problem}`),
    onLost: (recordCount, reason) => {
      counts.lost += recordCount;
      onProblem(`${recordCount} records are lost: ${reason}`);
    },
    events: {
      onAcknowledged: (_batch, { rejected, rejections }) => {
        counts.rejected += rejected;
        if (rejections[0]) onProblem(`${rejected} records are rejected: ${rejections[0].reason}`);
      },
      onRefused: ({ recordCount }, { message }) => {
        counts.rejected += recordCount;
        onProblem(`${recordCount} records are refused: ${message}`);
      },
      onDelayed: (_batch, { message }) => onProblem(`the server is overloaded: ${message}`),
      onReconnect: ({ reason }) => {
        counts.reconnects += 1;
        onProblem(`no connection: ${reason}`);
      },
      onFailed: ({ message }) => onProblem(message),
    },
  });
  let waitingBytes = 0;
  let unreported = 0;

  const receive = async (frame: SyslogFrame, from: string): Promise<void> => {
    counts.received += 1;
    const { deviceId, record } = toRecord(frame, from, options);
    await send(deviceId, record);
  };
  const send = async (deviceId: string, record: DeviceRecord): Promise<void> => {
    const sender = senders.get(deviceId);
    const isOverflow = sender.deviceId !== deviceId;
    const attributes = isOverflow ? { ...record.attributes, host: deviceId } : record.attributes;
    await sender.write(encodeRecord({ ...record, ...(attributes && { attributes }) }));
  };
  const receiveDatagram = (frame: SyslogFrame, from: string): void => {
    const bytes = frame.bytes.length + besideBytes;
    if (waitingBytes + bytes > datagramBytesMax) {
      counts.dropped += 1;
      unreported += 1;
      return;
    }
    waitingBytes += bytes;
    receive(frame, from)
      .catch((error: Error) => onProblem(error.message))
      .finally(() => (waitingBytes -= bytes));
  };
  /** Drops are logs, too: they are stored beside the others. */
  const reportDrops = (): void => {
    if (unreported === 0) return;
    const message = `${unreported} syslog datagrams were dropped: the server takes less than arrives`;
    onProblem(message);
    const attributes = { dropped: unreported };
    unreported = 0;
    send(options.deviceId ?? overflowDevice, {
      timeUnixNano: BigInt(Date.now()) * 1_000_000n,
      severity: Severity.WARN,
      logger: "fleetlog.syslog",
      message,
      attributes,
    }).catch((error: Error) => onProblem(error.message));
  };

  senders.recover();
  const listeners = await openListeners(options.listen, {
    messageBytesMax: limits.messageBytesMax,
    connectionsMax: options.connectionsMax,
    tls: options.tls,
    receive,
    receiveDatagram,
    onProblem,
  });
  for (const address of listeners.addresses) output.result(`listening on ${describeAddress(address)}`);
  const timer = setInterval(reportDrops, dropReportMs);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  clearInterval(timer);
  reportDrops();
  await listeners.close();
  const unsettled = await senders.close(drainMsMax);
  const kept = options.spool === undefined ? "lost" : `kept in ${options.spool}`;
  output.result(
    `${counts.received} messages received, ${counts.dropped} datagrams dropped, ${counts.lost} records lost, ${counts.rejected} records rejected, ` +
      `${counts.reconnects} reconnects, ${unsettled} batches ${unsettled > 0 ? kept : "unsettled"}`,
  );
  if (senders.unopenedCount > 0)
    output.problem(`the folders of ${senders.unopenedCount} devices in the spool were not opened yet`);
  return unsettled === 0 || options.spool !== undefined ? 0 : 1;
}

function toRecord(
  { bytes, cutFrom }: SyslogFrame,
  from: string,
  { deviceId, zone }: SyslogAgentOptions,
): { readonly deviceId: string; readonly record: DeviceRecord } {
  const nowMs = Date.now();
  const { hostname, record } = readSyslogMessage(bytes, { zone, nowMs });
  // An IPv4 address that arrives at a socket of IPv6.
  const host = hostname ?? from.replace(/^::ffff:/, "");
  const id = deviceId ?? (toDeviceId(host) || overflowDevice);
  const hasTime = record.timeUnixNano !== undefined;
  const attributes = {
    ...record.attributes,
    ...(id !== host && { host }),
    ...(cutFrom !== undefined && { cut_from_bytes: cutFrom }),
  };
  return {
    deviceId: id,
    record: { ...record, ...(!hasTime && { observedTimeUnixNano: BigInt(nowMs) * 1_000_000n }), attributes },
  };
}

const sameProblemMs = 5_000;

/** Prints a problem at once, and again after a while: an outage has thousands of the same. */
function limitedReport(output: Output): (problem: string) => void {
  const printedAt = new Map<string, number>();
  return (problem) => {
    const kind = problem.replaceAll(/\d+/g, "N").slice(0, 80);
    const now = performance.now();
    if (now - (printedAt.get(kind) ?? Number.NEGATIVE_INFINITY) < sameProblemMs) return;
    if (printedAt.size > 100) printedAt.clear();
    printedAt.set(kind, now);
    output.problem(problem);
  };
}
