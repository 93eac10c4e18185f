import type { ChannelCredentials } from "@grpc/grpc-js";
import { InvalidArgumentError } from "commander";
import { InputError } from "#client/files/read-inputs.ts";
import { exitCodes } from "#client/send/send.ts";
import type { Output } from "#client/send/send-report.ts";
import { tlsCredentials } from "#client/transports/tls-credentials.ts";

// What the commands of `fleetlog` have in common.

/** Of the connection to Fleetlog. */
export interface TlsOptions {
  tls?: boolean;
  ca?: string;
  cert?: string;
  key?: string;
}

export function createCredentials({ tls, ca, cert, key }: TlsOptions): ChannelCredentials | undefined {
  try {
    if (tls) return tlsCredentials({ ca, cert, key });
  } catch (error) {
    throw new InputError(error instanceof Error ? error.message : String(error));
  }
  if (ca ?? cert ?? key) throw new InputError("--ca, --cert and --key require --tls");
  return undefined;
}

export function createOutput(quiet: boolean): Output {
  const clearLine = process.stderr.isTTY ? "\r\x1b[K" : "";
  return {
    result: (text) => {
      process.stderr.write(clearLine);
      if (!quiet) process.stdout.write(`${text}\n`);
    },
    problem: (text) => void process.stderr.write(`${clearLine}${text}\n`),
    progress:
      process.stderr.isTTY && !quiet ? (text) => void process.stderr.write(`${clearLine}${text}`) : undefined,
  };
}

/** Aborts on the first Ctrl-C or SIGTERM; the second ends the process immediately. */
export function interruptSignal(): AbortSignal {
  const interrupt = new AbortController();
  let firstAt = 0;
  const onSignal = () => {
    // A terminal signals the whole process group, and a launcher passes it on: both are the same Ctrl-C.
    if (interrupt.signal.aborted && performance.now() - firstAt > 500) process.exit(exitCodes.interrupted);
    if (interrupt.signal.aborted) return;
    firstAt = performance.now();
    interrupt.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return interrupt.signal;
}

export function nameOption(what: string, lengthMax: number) {
  return (value: string): string => {
    if (new RegExp(`^[A-Za-z0-9._:-]{1,${lengthMax}}$`).test(value)) return value;
    throw new InvalidArgumentError(`${what} has 1 to ${lengthMax} characters of A-Z a-z 0-9 . _ : -`);
  };
}

/** Parses an option's value; a RangeError or SyntaxError from `parse` becomes the option's error. */
export function withErrors<T>(parse: (value: string) => T) {
  return (value: string): T => {
    try {
      return parse(value);
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
    }
  };
}

export function parseHostAndPort(value: string): string {
  if (/^(\[[0-9a-fA-F:]+\]|[^:\s/]+):\d{1,5}$/.test(value)) return value;
  throw new InvalidArgumentError('expected host:port, such as "127.0.0.1:50051"');
}
