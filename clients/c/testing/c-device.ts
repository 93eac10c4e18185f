import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type DeviceRecord, encodeRecord } from "#client/stream/record.ts";
import { cDevice } from "#test/support/c-client.ts";
import { waitFor } from "#test/support/wait-for.ts";

/** A line that the device printed; test/clients/c/device.c has the fields of each event. */
export interface DeviceEvent {
  readonly event: string;
  readonly id?: number;
  readonly sequence?: string;
  readonly accepted?: number;
  readonly rejected?: number;
  readonly rejections?: readonly { readonly index: number; readonly reason: string }[];
  readonly message?: string;
  readonly first?: string;
  readonly last?: string;
  readonly through?: string;
  readonly code?: number;
  readonly delayMs?: number;
  readonly reason?: string;
  readonly recovered?: boolean;
}

const backoff = { "backoff-base-ms": 10, "backoff-cap-ms": 100 };

/** The C library in a process of its own. */
export class CDevice {
  readonly events: DeviceEvent[] = [];
  readonly exited: Promise<number | null>;
  readonly #child;
  #sent = 0;
  #errors = "";

  static async start(options: Readonly<Record<string, string | number>>): Promise<CDevice> {
    return new CDevice(await cDevice(), options);
  }

  private constructor(program: string, options: Readonly<Record<string, string | number>>) {
    const all = { device: "c-1", session: "boot-1", "keep-until": "accepted", ...backoff, ...options };
    this.#child = spawn(
      program,
      Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]),
    );
    this.exited = new Promise((resolve) => this.#child.on("close", resolve));
    this.#child.stdin.on("error", () => {}); // it was killed
    this.#child.stderr.on("data", (text) => (this.#errors += String(text)));
    createInterface(this.#child.stdout).on("line", (line) =>
      this.events.push(JSON.parse(line) as DeviceEvent),
    );
  }

  /** Sends one batch of these records; its id and its sequence are the number of the call. */
  send(...records: readonly (string | DeviceRecord)[]): void {
    const encoded = records.map((record) =>
      Buffer.from(encodeRecord(typeof record === "string" ? { message: record } : record)).toString("base64"),
    );
    this.#child.stdin.write(`${JSON.stringify({ id: ++this.#sent, records: encoded })}\n`);
  }

  of(event: string): readonly DeviceEvent[] {
    return this.events.filter((one) => one.event === event);
  }

  /** Waits until there are `count` events of this kind. */
  async until(event: string, count = 1): Promise<readonly DeviceEvent[]> {
    return waitFor(
      `${count} events "${event}" of the device`,
      () => {
        if (this.#errors !== "") throw new Error(this.#errors);
        return this.of(event).length >= count && this.of(event);
      },
      60_000,
    );
  }

  /** Ends the input; resolves when every batch is settled and the device has ended. */
  async flush(): Promise<void> {
    this.#child.stdin.end();
    const code = await this.exited;
    if (code !== 0 || this.#errors !== "") throw new Error(`exit code ${code}: ${this.#errors}`);
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) await this.kill();
  }
}
