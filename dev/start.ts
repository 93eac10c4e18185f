import { accessSync, chmodSync, constants, mkdirSync, statSync } from "node:fs";
import { isIP, isIPv6 } from "node:net";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { buildDashboard } from "#dashboard/build.ts";
import { allowedHosts } from "#lib/allowed-hosts.ts";
import { integer, listenAddress, readEnv } from "#lib/config.ts";
import type { TlsSettings } from "#nginx/render.ts";
import { tlsSettings, tlsShape } from "#nginx/tls-config.ts";
import { refreshBinaries } from "./binaries.ts";
import { Child, StartError } from "./child.ts";
import { firstSteps } from "./first-steps.ts";
import { lockFolder } from "./folder-lock.ts";
import { projectFolder, stateFolder as usualFolder } from "./folders.ts";
import { keepPorts, readKeptPorts } from "./kept-ports.ts";
import { endLeftovers } from "./leftovers.ts";
import { removeNotes, writeNotes } from "./notes.ts";
import { reserveOtlpPorts } from "./otlp-ports.ts";
import { reservePort } from "./reserve-port.ts";
import { describeIgnored, readStartSettings } from "./start-settings.ts";
import { type Step, startSystem } from "./system.ts";

// `npm start` starts everything, waits, and stops everything.
//
// Every process runs in its own process group, so Ctrl-C reaches only this process (and npm), which stops
// the others in reverse order. npm and the shell may each forward the same Ctrl-C, so signals within a
// second count as one; another one later kills everything immediately.

const stateFolder = process.env.FLEETLOG_FOLDER || usualFolder;
const print = (line: string) => void process.stdout.write(`${line}\n`);

process.chdir(projectFolder);
process.umask(0o077); // data, logs and passwords are for this user alone
/** How long an interrupted step of the start may continue: as long as a process has to stop. */
const interruptMs = 11_000;
const stopRequest = Promise.withResolvers<string>();
let stopRequestedAt: number | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => requestStop(signal));

try {
  await run();
} catch (error) {
  if (stopRequestedAt === undefined) {
    process.stderr.write(`\n${describeError(error)}\nNothing was left running.\n`);
    process.exitCode = 1;
  } else {
    print("Stopped before it was up.");
  }
}
if (stopRequestedAt !== undefined) process.exit(); // a step that was not waited for may still be at it

async function run(): Promise<void> {
  const host = (process.env.FLEETLOG_HOST || "127.0.0.1").replace(/^\[(.*)\]$/, "$1");
  const urlHost = isIPv6(host) ? `[${host}]` : host; // as URLs and Nginx write it
  const {
    FLEETLOG_HTTP_PORT: httpPort,
    FLEETLOG_GRPC_PORT: grpcPort,
    ALLOWED_HOSTS: allowed,
    ...tlsValues
  } = readEnv(
    {
      FLEETLOG_HTTP_PORT: integer(1, 65_535).prefault("8080"),
      FLEETLOG_GRPC_PORT: integer(1, 65_535).prefault("50051"),
      ALLOWED_HOSTS: allowedHosts(),
      ...tlsShape,
      TLS_LISTEN: listenAddress().prefault(`${urlHost}:8443`),
    },
    process.env,
  );
  const settings = readStartSettings(process.env);
  const given = tlsSettings(tlsValues);
  const tls = given && withAbsolutePaths(given);
  mkdirSync(stateFolder, { recursive: true });
  // An earlier version left it open. PostgreSQL's user may need to traverse it.
  chmodSync(stateFolder, statSync(stateFolder).mode & 0o711);
  using _lock = lockFolder(stateFolder);
  await endLeftovers(stateFolder);
  const frontDoor = [
    await reservePort(host, httpPort, "FLEETLOG_HTTP_PORT"),
    await reservePort(host, grpcPort, "FLEETLOG_GRPC_PORT"),
  ];
  if (tls)
    frontDoor.push(await reservePort(tlsValues.TLS_LISTEN.host, tlsValues.TLS_LISTEN.port, "TLS_LISTEN"));

  const otlp = await reserveOtlpPorts(process.env, host);
  frontDoor.push(...otlp.reserved);

  if (process.argv.includes("--renew-binaries"))
    await stepPrinter(print)("Binaries", refreshBinaries, () => "fetched anew");
  for (const line of describeIgnored(process.env)) print(line);
  print("Starting Fleetlog");
  const startedAt = performance.now();
  const step = interruptible(stepPrinter(print));
  await step("Dashboard", buildDashboard, (built) => (built ? "built" : "built before"));
  const kept = readKeptPorts(stateFolder);
  const system = await startSystem({
    folder: stateFolder,
    httpListen: `${urlHost}:${httpPort}`,
    grpcListen: `${urlHost}:${grpcPort}`,
    allowedHosts: [...allowed, ...(isIP(host) ? [] : [host])],
    ...settings,
    nginxSettings: { ...settings.nginxSettings, ...(tls && { tls }), otlp: otlp.listeners },
    consumers: Array.from({ length: settings.consumers }, () => ({})),
    ports: kept,
    beforeNginx: () => Promise.all(frontDoor.map((port) => port[Symbol.asyncDispose]())),
    step,
  });
  system.keepRunning(print);
  const files = await writeNotes(stateFolder, system, settings.env.server);
  const ports = { postgres: system.postgres?.port ?? 0, redis: system.redis.port };
  for (const line of otlp.notes) print(line);
  for (const line of keepPorts(stateFolder, kept, ports)) print(line);
  print(`\nFleetlog is up after ${((performance.now() - startedAt) / 1000).toFixed(1)} s.\n`);
  print(
    firstSteps({
      http: system.nginx.http,
      grpc: system.nginx.grpc,
      tls: system.nginx.tls,
      otlp: system.nginx.otlp,
      logs: join(stateFolder, "logs"),
      ...files,
      data: [...new Set([dirname(system.postgres?.data ?? stateFolder), stateFolder])].join(" and "),
    }),
  );
  print("Ctrl-C stops everything and keeps the data.");

  // The children are unreferenced and write to files: nothing else keeps this process running.
  const keepAlive = setInterval(() => {}, 60_000);
  await stopRequest.promise;
  clearInterval(keepAlive);
  print("\nStopping");
  await system.stop();
  await removeNotes(stateFolder);
  print("Nothing is left running.");
}

/**
 * Nginx runs in its own folder, so paths relative to the project become absolute. Throws for an
 * unreadable file.
 */
function withAbsolutePaths(tls: TlsSettings): TlsSettings {
  return {
    ...tls,
    certificateFile: readable("TLS_CERT", tls.certificateFile),
    keyFile: readable("TLS_KEY", tls.keyFile),
    ...(tls.clientCaFile && { clientCaFile: readable("TLS_CLIENT_CA", tls.clientCaFile) }),
  };
}

function readable(variable: string, path: string): string {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StartError(`${variable}=${path}: this file cannot be read (${code}).`);
  }
  return resolve(path);
}

/** No further step starts after a stop request. */
function interruptible(step: Step): Step {
  return (title, work, detail) => {
    if (title.endsWith(" stopped")) return step(title, work, detail);
    if (stopRequestedAt !== undefined) throw new StartError("interrupted");
    // A step with a child process stops it first; no other step is awaited.
    const interrupted = stopRequest.promise
      .then(() => sleep(interruptMs))
      .then(() => {
        throw new StartError("interrupted");
      });
    return step(title, () => Promise.race([work(), interrupted]), detail);
  };
}

/** Prints one plain line per finished step with its milliseconds, readable in a log file or CI. */
function stepPrinter(write: (line: string) => void): Step {
  return async (title, work, detail) => {
    const startedAt = performance.now();
    try {
      const result = await work();
      const ms = `${Math.round(performance.now() - startedAt)} ms`.padStart(9);
      write(`  ✓ ${title.padEnd(26)}${ms}   ${detail?.(result) ?? ""}`.trimEnd());
      return result;
    } catch (error) {
      write(`  ✗ ${title}`);
      throw error;
    }
  };
}

function requestStop(signal: NodeJS.Signals): void {
  const now = performance.now();
  if (stopRequestedAt === undefined) {
    stopRequestedAt = now;
    stopRequest.resolve(signal);
    Child.interruptStarts();
  } else if (now - stopRequestedAt > 1_000) {
    Child.killAll();
    process.stderr.write("Stopped at once. Acknowledged batches are safe; the next start recovers them.\n");
    process.exit(130);
  }
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return `${path ?? stateFolder} is not writable: does it belong to another user? (${code})`;
  }
  if (code === "ENOSPC") return `The disk is full: ${path ?? stateFolder} cannot be written.`;
  return error.message;
}
