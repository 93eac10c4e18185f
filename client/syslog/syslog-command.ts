import { readFileSync } from "node:fs";
import type { TlsOptions as ServerTlsOptions } from "node:tls";
import { Command, Option } from "commander";
import { limits } from "#batch/limits.ts";
import {
  createCredentials,
  createOutput,
  interruptSignal,
  nameOption,
  parseHostAndPort,
  type TlsOptions,
  withErrors,
} from "#client/command-options.ts";
import { InputError } from "#client/files/read-inputs.ts";
import { parseTimeZone, type TimeZone } from "#client/lines/time-zone.ts";
import { wholeNumber } from "#lib/options.ts";
import { type ListenAddress, parseListenAddresses } from "./listen-address.ts";
import { runSyslogAgent } from "./syslog-agent.ts";

interface SyslogCommandOptions extends TlsOptions {
  listen: readonly ListenAddress[];
  device?: string;
  address: string;
  listenCert?: string;
  listenKey?: string;
  listenCa?: string;
  timeZone: TimeZone;
  spool?: string;
  keepUntil: "accepted" | "committed";
  devicesMax: number;
  connectionsMax: number;
  pendingMebibytes: number;
  quiet?: boolean;
}

const mebibyte = 1024 * 1024;

/** `fleetlog syslog`. */
export function syslogCommand(): Command {
  return new Command("syslog")
    .description("Receives syslog (RFC 5424 and 3164) over UDP, TCP and TLS, and sends it.")
    .addOption(
      new Option(
        "--listen <addresses>",
        "udp://, tcp:// and tls:// addresses, comma-separated; udp://:514: all of this machine",
      )
        .argParser(withErrors(parseListenAddresses))
        .default(
          parseListenAddresses("udp://127.0.0.1:5514,tcp://127.0.0.1:5514"),
          "udp and tcp 127.0.0.1:5514",
        ),
    )
    .addOption(
      new Option(
        "-d, --device <id>",
        "one device id for all; default: the hostname in each message, else its sender's address",
      ).argParser(nameOption("a device id", limits.deviceIdBytesMax)),
    )
    .option("-a, --address <host:port>", "gRPC address of Fleetlog", parseHostAndPort, "127.0.0.1:50051")
    .option("--tls", "use TLS to Fleetlog, trusting Node's built-in CAs")
    .option("--ca <file>", "trust these CAs instead (PEM)")
    .option("--cert <file>", "client certificate (PEM), with --key")
    .option("--key <file>", "key of the client certificate (PEM)")
    .option("--listen-cert <file>", "certificate for tls:// (PEM)")
    .option("--listen-key <file>", "its key (PEM)")
    .option("--listen-ca <file>", "require client certificates of these CAs (PEM) on tls://")
    .option(
      "--time-zone <zone>",
      "zone of times without one: local, UTC, +05:30, Europe/Berlin",
      withErrors(parseTimeZone),
      "local",
    )
    .option("--spool <folder>", "keep batches in this folder until they are acknowledged")
    .addOption(
      new Option(
        "--keep-until <state>",
        "forget batches when accepted (in Redis) or committed (in PostgreSQL)",
      )
        .choices(["accepted", "committed"])
        .default("accepted"),
    )
    .option(
      "--devices-max <n>",
      "hostnames at once; idle ones make room, records of more become those of the device syslog",
      wholeNumber(1, 10_000),
      256,
    )
    .option("--connections-max <n>", "TCP and TLS connections at once", wholeNumber(1, 100_000), 1_000)
    .option(
      "--pending-mebibytes <n>",
      "memory for batches that are not settled",
      wholeNumber(16, 65_536),
      256,
    )
    .option("-q, --quiet", "print errors only")
    .addHelpText(
      "after",
      `
The hostname becomes the device, the app name or tag the logger, the message id the event name; facility, process id and
structured data become attributes. A message of another form is stored as it is.

While Fleetlog is unreachable batches wait, in memory or in the spool. Then TCP senders are slowed down, and datagrams
are dropped and counted: the number is printed and stored as a record of fleetlog.syslog.
SIGTERM ends it: connections are closed, and what was received is sent for up to 5 s.

Exit code: 0 all is acknowledged or in the spool, 1 some is not.`,
    )
    .action(async (options: SyslogCommandOptions) => {
      const exitCode = await runSyslogAgent(
        {
          listen: options.listen,
          deviceId: options.device,
          address: options.address,
          credentials: createCredentials(options),
          tls: readServerTls(options),
          zone: options.timeZone,
          spool: options.spool,
          keepUntil: options.keepUntil,
          devicesMax: options.devicesMax,
          connectionsMax: options.connectionsMax,
          pendingBytesMax: options.pendingMebibytes * mebibyte,
        },
        { output: createOutput(options.quiet === true), signal: interruptSignal() },
      );
      process.exit(exitCode);
    });
}

function readServerTls({
  listen,
  listenCert,
  listenKey,
  listenCa,
}: SyslogCommandOptions): ServerTlsOptions | undefined {
  const isAsked = listen.some(({ protocol }) => protocol === "tls");
  if (isAsked && (listenCert === undefined || listenKey === undefined))
    throw new InputError("tls:// requires --listen-cert and --listen-key");
  if (listenCert === undefined || listenKey === undefined) return undefined;
  try {
    return {
      cert: readFileSync(listenCert),
      key: readFileSync(listenKey),
      ...(listenCa !== undefined && {
        ca: readFileSync(listenCa),
        requestCert: true,
        rejectUnauthorized: true,
      }),
    };
  } catch (error) {
    throw new InputError(`--listen-cert, --listen-key, --listen-ca: ${(error as Error).message}`);
  }
}
