import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { endLeftover, endOrphans, signalGroup, writePidFile } from "./leftovers.ts";

export interface ChildOptions {
  /** For messages: "Redis", "server 1". */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Its stdout and stderr are appended here. */
  readonly logFile: string;
  /** Identifies the running process, so that the next start can end it if it is left over. */
  readonly pidFile: string;
  /** When aborted, `until` stops waiting. */
  readonly signal?: AbortSignal;
  /** Printed after the log when the process does not start: what to do about it. */
  readonly advice?: string;
  readonly stopSignal?: NodeJS.Signals;
  readonly stopWithinMs?: number;
}

/** Our programs drain within that time, and acknowledged data survives a SIGKILL. */
const stopWithinMsDefault = 10_000;

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Thrown when a child process does not start; the message ends with the last lines of its log. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/**
 * A background process in a group of its own, so that Ctrl-C in the terminal reaches only us and we choose the order
 * in which things stop. A small shell watches a pipe to us: if we die in any way, even by SIGKILL, it ends the child.
 */
export class Child {
  static readonly #all = new Set<Child>();
  static #startsInterrupted = false;

  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  readonly exited: Promise<ChildExit>;
  readonly #process: ChildProcess;
  readonly #watchdog: ChildProcess;
  readonly #options: ChildOptions;
  readonly #logFrom: number;
  #exit: ChildExit | undefined;

  /** Kills every child of this process immediately. */
  static killAll(): void {
    for (const child of Child.#all) child.kill();
  }

  /** Makes every `until` stop waiting. */
  static interruptStarts(): void {
    Child.#startsInterrupted = true;
  }

  /** Starts the process; resolves when it runs, ready or not. */
  static async start(options: ChildOptions): Promise<Child> {
    await endLeftover(options.name, options.pidFile, dirname(dirname(options.pidFile)));
    mkdirSync(dirname(options.logFile), { recursive: true });
    const log = openSync(options.logFile, "a");
    try {
      const logFrom = fstatSync(log).size;
      const child = spawn(options.command, options.args, {
        detached: true,
        stdio: ["ignore", log, log],
        ...(options.env && { env: { ...options.env } }),
        ...(options.cwd && { cwd: options.cwd }),
        ...options.user,
      });
      await new Promise<void>((resolve, reject) => {
        child.once("spawn", resolve);
        child.once("error", (error) => reject(new StartError(`${options.name}: ${error.message}`)));
      });
      return new Child(options, child, logFrom);
    } finally {
      closeSync(log);
    }
  }

  private constructor(options: ChildOptions, child: ChildProcess, logFrom: number) {
    this.#options = options;
    this.#process = child;
    this.#logFrom = logFrom;
    this.name = options.name;
    this.logFile = options.logFile;
    Child.#all.add(this);
    this.pid = child.pid as number;
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#exit = { code, signal };
        Child.#all.delete(this);
        this.#watchdog.stdin?.end("released\n");
        endOrphans(this.pid);
        rmSync(options.pidFile, { force: true });
        resolve(this.#exit);
      });
    });
    const signal = (options.stopSignal ?? "SIGTERM").slice(3);
    this.#watchdog = spawn("sh", ["-c", watchdogScript, "fleetlog-watchdog", signal, String(this.pid)], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#watchdog.on("error", () => {}); // without a shell there is no watchdog, and pid files must do
    this.#watchdog.stdin?.on("error", () => {}); // it may be gone before it is released: nothing is left to do
    mkdirSync(dirname(options.pidFile), { recursive: true });
    writePidFile(options.pidFile, this.pid, options.stopSignal ?? "SIGTERM");
    child.unref();
    this.#watchdog.unref();
    (this.#watchdog.stdin as unknown as { unref?: () => void }).unref?.();
  }

  get hasExited(): boolean {
    return this.#exit !== undefined;
  }

  /** Its output since this start, at most the last `bytesMax`. */
  output(bytesMax = 256 * 1024): string {
    const file = openSync(this.#options.logFile, "r");
    try {
      const end = fstatSync(file).size;
      const from = Math.max(this.#logFrom, end - bytesMax);
      const bytes = Buffer.alloc(Math.max(0, end - from));
      return bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, from));
    } finally {
      closeSync(file);
    }
  }

  /**
   * Waits until `condition` is met; stops the child and throws when that takes too long or the child
   * exits.
   */
  async until<T>(
    condition: () => Promise<T | undefined>,
    deadlineMs: number,
    whyNot: () => string = () => "",
  ): Promise<T> {
    const giveUpAt = performance.now() + deadlineMs;
    for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 1.1, 500)) {
      const met = await condition().catch(async (error: unknown) => {
        await this.stop();
        throw error;
      });
      if (met !== undefined) return met;
      if (this.#exit) throw this.#failure(`ended during start (${exitText(this.#exit)})`);
      if (Child.#startsInterrupted || this.#options.signal?.aborted) {
        await this.stop();
        throw new StartError(`${this.name}: interrupted during start`);
      }
      if (performance.now() > giveUpAt) {
        await this.stop();
        const why = whyNot();
        throw this.#failure(`was not ready within ${deadlineMs / 1000} s${why && ` (${why})`}`);
      }
      await sleep(pauseMs);
    }
  }

  /**
   * Sends the stop signal; kills the whole group after the deadline. Resolves when the process has
   * exited.
   */
  async stop(): Promise<void> {
    if (this.#exit) return;
    this.#process.ref();
    this.#process.kill(this.#options.stopSignal ?? "SIGTERM");
    const timer = setTimeout(() => this.kill(), this.#options.stopWithinMs ?? stopWithinMsDefault);
    await this.exited;
    clearTimeout(timer);
  }

  /** Kills the process and its group immediately. */
  kill(): void {
    if (!this.#exit) signalGroup(this.pid, "SIGKILL");
  }

  #failure(what: string): StartError {
    const lines = this.output().trimEnd().split("\n").slice(-8);
    const shown = lines.map((line) => `    ${line.slice(0, 400)}`).join("\n");
    const advice = this.#options.advice ? `\n${this.#options.advice}` : "";
    return new StartError(`${this.name} ${what}. The end of its log, ${this.logFile}:\n${shown}${advice}`);
  }
}

export function exitText({ code, signal }: ChildExit): string {
  return signal ? `killed by ${signal}` : `exit code ${code}`;
}

// `read` fails at the end of the pipe, which comes when the parent is gone without having released the watchdog.
const watchdogScript = `
read -r released && exit 0
kill -s "$1" "$2"
tries=0
while kill -0 "$2" && [ $tries -lt 150 ]; do sleep 0.1; tries=$((tries + 1)); done
kill -s KILL -- "-$2"
`;
