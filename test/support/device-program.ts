import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { withDeadline } from "#lib/deadline.ts";
import { waitFor } from "./wait-for.ts";

/** How to call a program. */
export interface ProgramCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** A line that a device program prints. */
export interface ProgramEvent {
  readonly event:
    | "acknowledged"
    | "refused"
    | "committed"
    | "dropped"
    | "kept"
    | "later"
    | "reconnect"
    | "failed"
    | "flushed";
  /** Of the batch; not of one that an earlier process left in the spool. */
  readonly id?: number;
  readonly recovered?: boolean;
  readonly session?: string;
  readonly sequence?: string;
  readonly accepted?: number;
  readonly rejections?: readonly { readonly index: number; readonly reason: string }[];
  readonly through?: string;
  readonly first?: string;
  readonly last?: string;
  /** Of google.rpc.Code. */
  readonly code?: number;
  /** How long it then pauses. */
  readonly delayMs?: number;
  readonly message?: string;
}

export interface ProgramOptions {
  readonly deviceId: string;
  readonly session: string;
  /** host:port, and the base URL for HTTP: a program uses the one that its library speaks. */
  readonly grpc: string;
  readonly http: string;
  readonly keepUntil?: "accepted" | "committed" | undefined;
  readonly spool?: string | undefined;
  /** Further arguments. */
  readonly flags?: readonly string[];
  readonly onEvent?: (event: ProgramEvent) => void;
}

/**
 * A device in a process of its own, which uses the client library of another language. It reads batches as JSON lines,
 * `{"id": 7, "records": ["<base64 of a LogRecord>", …]}`, numbers them 1, 2, 3, … within its session, and prints a {@link
 * ProgramEvent} per line. At the end of its input it settles everything, prints "flushed" and exits with 0.
 */
export class DeviceProgram implements AsyncDisposable {
  readonly events: ProgramEvent[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #stderr = "";
  #startError: string | undefined;
  #lastId = 0;

  constructor({ command, args, env }: ProgramCommand, options: ProgramOptions) {
    const { deviceId, session, grpc, http, keepUntil = "accepted", spool, flags = [], onEvent } = options;
    const own = ["--device", deviceId, "--session", session, "--grpc", grpc, "--http", http];
    const pace = ["--backoff-base-ms", "30", "--backoff-cap-ms", "500", "--ack-timeout-ms", "4000"];
    const keep = ["--keep-until", keepUntil, ...(spool === undefined ? [] : ["--spool", spool])];
    this.#child = spawn(command, [...args, ...own, ...pace, ...keep, ...flags], {
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const { stdin, stdout, stderr } = this.#child;
    stdin?.on("error", () => {}); // its end is seen by the exit
    stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-4_096);
    });
    // Its lines are all read when it counts as ended.
    this.#exited = once(this.#child, "close");
    this.#exited.catch((error: unknown) => {
      this.#startError = String(error);
    });
    if (stdout) {
      createInterface(stdout).on("line", (line) => {
        const event = JSON.parse(line) as ProgramEvent;
        this.events.push(event);
        onEvent?.(event);
      });
    }
  }

  /** Why it is not running: it could not start, or its exit code or signal and what it wrote to stderr. */
  get end(): string | undefined {
    const { exitCode, signalCode } = this.#child;
    if (this.#startError !== undefined) return this.#startError;
    return exitCode === null && signalCode === null
      ? undefined
      : `it ended with ${signalCode ?? exitCode}: ${this.#stderr}`;
  }

  /** Hands it a batch of encoded records. */
  send(records: readonly Uint8Array[], id: number = this.#lastId + 1): void {
    this.#lastId = id;
    const encoded = records.map((record) => Buffer.from(record).toString("base64"));
    this.#child.stdin?.write(`${JSON.stringify({ id, records: encoded })}\n`);
  }

  all(event: ProgramEvent["event"]): readonly ProgramEvent[] {
    return this.events.filter((each) => each.event === event);
  }

  /** Resolves when it has printed this many events of a kind, with all of them; throws when it ends before. */
  async waitFor(event: ProgramEvent["event"], count: number): Promise<readonly ProgramEvent[]> {
    const isReached = () => this.all(event).length >= count;
    await waitFor(`${count} × ${event}`, () => isReached() || this.end !== undefined, 120_000);
    if (!isReached()) throw new Error(this.end);
    return this.all(event);
  }

  /** Ends its input; throws unless it settles everything and exits with 0. */
  async finish(deadlineMs = 90_000): Promise<void> {
    this.#child.stdin?.end();
    await withDeadline("the device program to end", deadlineMs, this.#exited);
    if (this.#child.exitCode !== 0 || this.all("flushed").length !== 1) throw new Error(this.end);
  }

  /** SIGKILL; resolves when all that it printed is read. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited.catch(() => {}); // it never started
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
