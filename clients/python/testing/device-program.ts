import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { create, toBinary } from "@bufbuild/protobuf";
import { LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { pythonDevice, pythonEnv } from "#test/support/python-package.ts";
import { waitFor } from "#test/support/wait-for.ts";

/** A line that the device program printed. */
export interface DeviceEvent {
  readonly event: string;
  readonly id?: number;
  readonly sequence?: string;
  readonly recovered?: boolean;
  readonly accepted?: number;
  readonly rejections?: readonly { index: number; reason: string }[];
  readonly through?: string;
  readonly first?: string;
  readonly last?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly code?: number;
  readonly delayMs?: number;
}

let sessions = 0;

/** The device program in a process of its own. */
export class DeviceProgram implements AsyncDisposable {
  readonly events: DeviceEvent[] = [];
  readonly child: ChildProcess;
  stderr = "";
  #id = 0;

  private constructor(child: ChildProcess) {
    this.child = child;
    child.stdin?.on("error", () => {}); // the test sees its exit
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    if (child.stdout) createInterface(child.stdout).on("line", (line) => this.events.push(JSON.parse(line)));
  }

  /** Starts a device; `flags` are further arguments of the program. */
  static async start(deviceId: string, address: string, ...flags: string[]): Promise<DeviceProgram> {
    const [command, ...args] = await pythonDevice();
    const session = `run-${process.pid}-${++sessions}`;
    const backoff = ["--backoff-base-ms", "10", "--backoff-cap-ms", "100"];
    const names = ["--device", deviceId, "--session", session, "--grpc", address];
    const child = spawn(command, [...args, ...names, ...backoff, ...flags], {
      env: { ...process.env, ...pythonEnv },
      stdio: ["pipe", "pipe", "pipe"],
    });
    return new DeviceProgram(child);
  }

  /** Hands it one batch of records with these messages. */
  send(...messages: readonly string[]): void {
    this.sendRecords(
      ...messages.map((message) =>
        toBinary(LogRecordSchema, create(LogRecordSchema, { message, severity: Severity.INFO })),
      ),
    );
  }

  sendRecords(...records: readonly Uint8Array[]): void {
    const encoded = records.map((record) => Buffer.from(record).toString("base64"));
    this.child.stdin?.write(`${JSON.stringify({ id: ++this.#id, records: encoded })}\n`);
  }

  all(event: string): readonly DeviceEvent[] {
    return this.events.filter((each) => each.event === event);
  }

  async waitFor(event: string, count: number): Promise<readonly DeviceEvent[]> {
    return waitFor(
      `${count} × ${event}`,
      () => {
        if (this.hasEnded && this.all(event).length < count) throw new Error(`it ended: ${this.stderr}`);
        return this.all(event).length >= count && this.all(event);
      },
      60_000,
    );
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Ends its input; resolves with what it wrote to stderr when it exits with 0. */
  async finish(): Promise<string> {
    this.child.stdin?.end();
    if (!this.hasEnded) await once(this.child, "exit");
    if (this.child.exitCode !== 0) throw new Error(`exit code ${this.child.exitCode}: ${this.stderr}`);
    return this.stderr;
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    if (!this.hasEnded) await once(this.child, "exit");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
