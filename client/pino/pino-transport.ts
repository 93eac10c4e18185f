import { writeSync } from "node:fs";
import buildTransport from "pino-abstract-transport";
import { DeviceLog } from "#client/device-log.ts";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { type DeviceInfo, encodeRecord } from "#client/stream/record.ts";
import { ConnectTransport } from "#client/transports/connect-transport.ts";
import { type TlsFiles, tlsCredentials } from "#client/transports/tls-credentials.ts";
import { type PinoFieldNames, toRecord } from "./pino-record.ts";

/** Plain data, because pino runs a transport in a thread of its own. */
export interface PinoTransportOptions extends PinoFieldNames {
  /** 1 to 128 characters of A-Z a-z 0-9 . _ : - */
  readonly deviceId: string;
  /** host:port of gRPC; default 127.0.0.1:50051. */
  readonly address?: string | undefined;
  /** Instead of `address`: an http:// or https:// URL, for Connect over HTTP/1.1. */
  readonly url?: string | undefined;
  /** PEM files; set, also to {}, it turns on TLS for `address`. */
  readonly tls?: TlsFiles | undefined;
  /** Compresses what it sends; default: none. */
  readonly compression?: "gzip" | undefined;
  /** What the device says about itself, such as its firmware. */
  readonly device?: DeviceInfo | undefined;
  /** A folder that keeps what is not acknowledged across restarts; one process at a time. */
  readonly spool?: string | undefined;
  /** Default "accepted". */
  readonly keepUntil?: "accepted" | "committed" | undefined;
  /** What happens when the limit of pending batches is reached; default "drop-oldest": an application does not wait for its logs. */
  readonly onFull?: "wait" | "drop-oldest" | undefined;
  /** Records in a batch, at most; default 500. */
  readonly recordsMax?: number | undefined;
  /** How long the first record of a batch waits for others; default 1,000. */
  readonly intervalMs?: number | undefined;
  /** How long the end of the application waits for the last acknowledgements; default 5,000. */
  readonly closeMs?: number | undefined;
}

/** The module that `pino({ transport: { target: "fleetlog-client/pino-transport", options } })` loads. */
export default function pinoTransport(options: PinoTransportOptions) {
  const warn = createWarn();
  const {
    deviceId,
    address,
    url,
    compression,
    tls,
    spool,
    keepUntil,
    onFull = "drop-oldest",
    closeMs = 5_000,
  } = options;
  const connect = url === undefined ? undefined : new ConnectTransport({ baseUrl: url, compression });
  const stream = new DeviceStream({
    deviceId,
    address,
    credentials: tls && tlsCredentials(tls),
    transport: connect,
    compression,
    device: options.device,
    spool: spool === undefined ? undefined : { folder: spool },
    keepUntil,
    onFull,
    giveUpAfterMs: Number.POSITIVE_INFINITY,
    onSpoolProblem: (problem) => warn(`spool: ${problem}`),
    onAcknowledged: (_batch, { rejected, rejections: [first] }) => {
      if (rejected > 0) warn(`${rejected} records are rejected: ${first?.reason}`);
    },
    onRefused: (_batch, { message }) => warn(`a batch is refused: ${message}`),
    onDropped: ({ recordCount }) => warn(`${recordCount} records are dropped: the limit of pending batches`),
    onFailed: ({ message }) => warn(message),
  });
  const log = new DeviceLog(stream, {
    recordsMax: options.recordsMax ?? 500,
    intervalMs: options.intervalMs ?? 1_000,
  });
  return buildTransport(
    async (lines) => {
      for await (const line of lines) {
        try {
          await log.write(encodeRecord(toRecord(line as Record<string, unknown>, options)), undefined);
        } catch (error) {
          warn((error as Error).message);
        }
      }
    },
    {
      async close() {
        try {
          await log.flush(closeMs);
        } catch (error) {
          warn(`${(error as Error).message}${spool === undefined ? "" : "; the spool keeps them"}`);
        }
        stream.close();
        connect?.close();
      },
    },
  );
}

/**
 * An application's log cannot report its own problems through itself. Written at once, because what a thread prints
 * otherwise is lost when the process ends. Repeats nothing: every line may have the same problem.
 */
function createWarn(): (message: string) => void {
  let last = "";
  return (message) => {
    if (message !== last) writeSync(2, `fleetlog: ${message}\n`);
    last = message;
  };
}
