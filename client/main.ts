import { Command, InvalidArgumentError, Option } from "commander";
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
import { follow } from "#client/follow/follow.ts";
import type { Multiline } from "#client/lines/line-joiner.ts";
import { severityByName } from "#client/lines/line-severity.ts";
import { timePattern } from "#client/lines/time-pattern.ts";
import { parseTimeZone } from "#client/lines/time-zone.ts";
import { previewInputs } from "#client/send/dry-run.ts";
import { exitCodes, send } from "#client/send/send.ts";
import { SpoolError } from "#client/spool/spool.ts";
import { syslogCommand } from "#client/syslog/syslog-command.ts";
import { wholeNumber } from "#lib/options.ts";

const program = new Command("fleetlog").description("Sends and administers logs.").addHelpText(
  "after",
  `
For operators, each with --help of its own: fleetlog doctor, fleetlog dead-letters, fleetlog retention.`,
);

program
  .command("send")
  .description(
    "Sends log files. Each line, or error with its stack trace, becomes one record, unchanged and in order.",
  )
  .argument("[file...]", "files to send; - or none: standard input")
  .addOption(
    new Option(
      "-d, --device <id>",
      "device id: A-Z a-z 0-9 . _ : -, at most 128 characters; required except with --dry-run",
    ).argParser(nameOption("a device id", limits.deviceIdBytesMax)),
  )
  .option("-a, --address <host:port>", "gRPC address of Fleetlog", parseHostAndPort, "127.0.0.1:50051")
  .option("--tls", "use TLS, trusting Node's built-in CAs")
  .option("--ca <file>", "trust these CAs instead (PEM)")
  .option("--cert <file>", "client certificate (PEM), with --key")
  .option("--key <file>", "key of the client certificate (PEM)")
  .option("-l, --logger <name>", "logger name, stored with every record", parseLoggerName)
  .addOption(
    new Option("-s, --severity <level>", "severity of every record; auto: from the line, else info")
      .choices(["auto", ...Object.keys(severityByName)])
      .default("auto"),
  )
  .option(
    "--time-format <format>",
    "time format of the lines, with strptime directives, such as '%d.%m.%y %T'",
    withErrors(timePattern),
  )
  .option(
    "--time-zone <zone>",
    "time zone of times without one: local, UTC, +05:30, Europe/Berlin; default: local",
    withErrors(parseTimeZone),
  )
  .option(
    "--multiline <how>",
    "auto: join a stack trace with its error; off; or a pattern that matches the first line of a record",
    withErrors(parseMultiline),
    "auto",
  )
  .option(
    "--dry-run",
    "send nothing; show the time, severity, format and message parsed from the first lines",
  )
  .addOption(
    new Option("--session <name>", "session id, to repeat a run, see below; default: random").argParser(
      nameOption("a session", limits.sessionIdBytesMax),
    ),
  )
  .option("-f, --follow", "goes on with what is written, over rotations; needs --spool, see below")
  .option("--spool <folder>", "keep batches in this folder until they are acknowledged, see below")
  .addOption(
    new Option("--keep-until <state>", "forget batches when accepted (in Redis) or committed (in PostgreSQL)")
      .choices(["accepted", "committed"])
      .default("accepted"),
  )
  .option("--batch-records <n>", "records per batch, 1 to 10000", wholeNumber(1, limits.recordsMax), 500)
  .option(
    "--give-up-after <seconds>",
    "exit without an acknowledgement for this long; default: 300, with a spool never",
    wholeNumber(1, 86_400),
  )
  .option("-q, --quiet", "print errors only")
  .addHelpText(
    "after",
    `
The time of a record is parsed from the start of its line, or from a field of JSON or logfmt. A line without a time
gets the time of the previous line in a file, and the time of reading from a pipe. docs/FILES.md lists all formats.

Broken connections and server restarts cause neither loss nor duplicates. A second run is a new session and stores
everything again. To repeat a failed run, pass the --session that it printed, with the same unchanged files and the
same options: records that are already stored are skipped.
A pipe cannot be repeated: a second run with the same --session stores everything again.

With --spool each batch is written to the folder before it is sent, and stays there until it is acknowledged. The next
run with the same folder sends the rest, once, under their old session. Only one run at a time can use a folder.

With --follow and --spool each line is sent once, across rotation, truncation and restarts: the folder also stores the
position in each file. A file may be missing at first. Rotated files are those beside it with names like FILE.1,
FILE-20261127.gz or FILE.old. SIGTERM exits with 0. docs/FILES.md lists what cannot be found again.

Exit code: 0 all records acknowledged, 1 some records not sent, 2 some records rejected (each with its reason; the
server keeps rejected records in dead_letters), 130 interrupted.`,
  )
  .action(async (files: string[], options: SendCommandOptions) => {
    const { severity } = options;
    const reading = {
      multiline: options.multiline,
      timeFormat: options.timeFormat,
      timeZone: options.timeZone,
    };
    if (options.dryRun) {
      let exitCode: number = exitCodes.acknowledged;
      await previewInputs(
        files.length > 0 ? files : ["-"],
        { ...reading, stdin: process.stdin },
        {
          print: (text) => process.stdout.write(`${text}\n`),
          fail: ({ message }) => {
            process.stderr.write(`${message}\n`);
            exitCode = exitCodes.failed;
          },
        },
      );
      process.exit(exitCode);
    }
    const deviceId =
      options.device ?? program.error("error: required option '-d, --device <id>' not specified");
    const run = options.follow ? follow : send;
    const exitCode = await run(
      {
        deviceId,
        inputs: files.length > 0 ? files : ["-"],
        address: options.address,
        credentials: createCredentials(options),
        logger: options.logger,
        severity: severity === "auto" ? undefined : severityByName[severity],
        ...reading,
        sessionId: options.session,
        batchRecordsMax: options.batchRecords,
        giveUpAfterMs: options.giveUpAfter && options.giveUpAfter * 1_000,
        spool: options.spool,
        keepUntil: options.keepUntil,
      },
      { stdin: process.stdin, output: createOutput(options.quiet === true), signal: interruptSignal() },
    );
    process.exit(exitCode);
  });

interface SendCommandOptions extends TlsOptions {
  device?: string;
  address: string;
  logger?: string;
  severity: keyof typeof severityByName | "auto";
  session?: string;
  batchRecords: number;
  giveUpAfter?: number;
  timeFormat?: ReturnType<typeof timePattern>;
  timeZone?: ReturnType<typeof parseTimeZone>;
  multiline: Multiline;
  dryRun?: boolean;
  follow?: boolean;
  spool?: string;
  keepUntil: "accepted" | "committed";
  quiet?: boolean;
}

function parseMultiline(value: string): Multiline {
  return value === "auto" || value === "off" ? value : new RegExp(value);
}

function parseLoggerName(value: string): string {
  if (Buffer.byteLength(value) <= limits.loggerBytesMax) return value;
  throw new InvalidArgumentError(`a logger's name is at most ${limits.loggerBytesMax} bytes long`);
}

program.addCommand(syslogCommand());

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof InputError || error instanceof SpoolError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(exitCodes.failed);
}
