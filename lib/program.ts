import { setFlagsFromString } from "node:v8";
import { ConfigError } from "./config.ts";
import { withDeadline } from "./deadline.ts";
import type { Logger } from "./logger.ts";

/** Docker and Kubernetes kill a program that takes much longer. */
export const stopMsMax = 10_000;

/** One step of stopping, and how long it may take. */
interface StopStep {
  readonly name: string;
  readonly deadlineMs: number;
  readonly stop: () => Promise<void> | void;
}

/**
 * The lifecycle of a program: each part that starts registers how to stop it; a signal or a failure stops all of them in
 * reverse order. A step that exceeds its deadline is logged and abandoned.
 */
export class Program {
  readonly #steps: StopStep[] = [];
  readonly #logger: Logger;
  #stopping: Promise<void> | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Throws when the deadlines of all steps add up to more than {@link stopMsMax}. */
  onStop(name: string, deadlineMs: number, stop: StopStep["stop"]): void {
    this.#steps.push({ name, deadlineMs, stop });
    const totalMs = this.#steps.reduce((sum, step) => sum + step.deadlineMs, 0);
    if (totalMs > stopMsMax) {
      throw new RangeError(`stopping could take ${totalMs} ms with ${name}, the limit is ${stopMsMax}`);
    }
  }

  /** Stops everything, once; the second caller waits for the first. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopInReverse();
    return this.#stopping;
  }

  async #stopInReverse(): Promise<void> {
    for (const step of this.#steps.toReversed()) {
      const startedAt = performance.now();
      try {
        await withDeadline(step.name, step.deadlineMs, Promise.resolve().then(step.stop));
        this.#logger.debug({ step: step.name, ms: Math.round(performance.now() - startedAt) }, "stopped");
      } catch (error) {
        this.#logger.error({ step: step.name, err: error }, "failed to stop");
      }
    }
  }
}

/**
 * Network buffers are memory outside of V8's heap. By default V8 marks the whole heap after every 64 MiB of them, even
 * when they are young and memory is free. Counted together with the heap, this happens half as often under load and costs
 * more memory; see docs/decisions/0020-cost-of-a-record.md.
 */
setFlagsFromString("--external-memory-accounted-in-global-limit");

/**
 * Runs a program until SIGTERM, SIGINT or `fail`, then stops it and ends the process: 0 after a signal, 1 after a
 * failure. An unexpected throw anywhere is our bug: it is logged, and the process exits and is restarted.
 */
export async function runProgram(
  logger: Logger,
  start: (program: Program, fail: (error: unknown) => void) => Promise<void>,
): Promise<void> {
  const program = new Program(logger);
  const ended = Promise.withResolvers<number>();
  const fail = (error: unknown) => {
    logger.fatal({ err: error }, "failed");
    ended.resolve(1);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      logger.info({ signal }, "stopping");
      ended.resolve(0);
    });
  }
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  start(program, fail).catch(fail);
  const exitCode = await ended.promise;
  await program.stop();
  logger.info({ exitCode }, "stopped");
  process.exit(exitCode);
}

/** Reads the configuration, or prints its problems and ends the process with exit code 1. */
export function readConfigOrExit<Config>(readConfig: () => Config): Config {
  try {
    return readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}
