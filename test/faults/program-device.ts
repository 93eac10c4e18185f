import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeviceProgram, type ProgramCommand, type ProgramEvent } from "#test/support/device-program.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type Device, type DeviceDependencies, openBatch } from "./devices.ts";
import type { JournalBatch } from "./journal.ts";

export interface ProgramDeviceOptions {
  readonly program: ProgramCommand;
  readonly grpc: string;
  readonly http: string;
  /** It has a spool, and is killed with SIGKILL once, after this many batches; it then starts again on its spool. */
  readonly killAfter?: number | undefined;
}

/** Batches without an outcome; what a device may have on its way, or more. */
const openMax = 32;

/** A device in a process of its own, by the client library of another language. */
export function programDevice(dependencies: DeviceDependencies, options: ProgramDeviceOptions): Device {
  const device = new ProgramDevice(dependencies, options);
  dependencies.signal.addEventListener("abort", () => device.close());
  return device;
}

class ProgramDevice implements Device {
  readonly #dependencies: DeviceDependencies;
  readonly #options: ProgramDeviceOptions;
  /** By session and sequence. */
  readonly #batches = new Map<string, JournalBatch>();
  /** Batches of the running process without an outcome, by id. */
  readonly #open = new Map<number, JournalBatch>();
  /** What the device has numbered and kept, and must settle whatever happens to its process. */
  readonly #kept = new Set<JournalBatch>();
  #spool: string | undefined;
  #program: DeviceProgram | undefined;
  #runs = 0;
  #sent = 0;
  #sequence = 0n;
  #isClosed = false;

  constructor(dependencies: DeviceDependencies, options: ProgramDeviceOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  async send(): Promise<void> {
    this.#program ??= await this.#start();
    const batch = openBatch(this.#dependencies, ++this.#sequence, this.#session);
    this.#batches.set(toKey(batch.sessionId, String(batch.sequence)), batch);
    const id = ++this.#sent;
    this.#open.set(id, batch);
    this.#program.send(
      batch.records.map(({ bytes }) => bytes),
      id,
    );
    if (id === this.#options.killAfter) await this.#restartAfter(batch);
    else await this.#until("capacity", () => this.#open.size < openMax);
  }

  async flush(): Promise<void> {
    await this.#program?.finish();
    const { contradictions } = this.#dependencies.journal;
    for (const { deviceId, sessionId, sequence, outcome } of [...this.#open.values(), ...this.#kept]) {
      if (outcome === "none")
        contradictions.push(`${deviceId} ${sessionId} ${sequence}: flushed without an outcome`);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    void this.#end();
  }

  async #end(): Promise<void> {
    await this.#program?.kill();
    if (this.#spool !== undefined) await rm(this.#spool, { recursive: true, force: true, maxRetries: 5 });
  }

  get #session(): string {
    return `boot-${this.#runs}`;
  }

  async #start(): Promise<DeviceProgram> {
    const { deviceId, keepUntil } = this.#dependencies;
    const { program, grpc, http, killAfter } = this.#options;
    if (killAfter !== undefined) this.#spool ??= await mkdtemp(join(tmpdir(), "fleetlog-device-"));
    this.#runs += 1;
    return new DeviceProgram(program, {
      deviceId,
      session: this.#session,
      grpc,
      http,
      keepUntil,
      spool: this.#spool,
      onEvent: (event) => this.#onEvent(event),
    });
  }

  /** What the process had read and not kept is lost with it, and was promised to no caller. */
  async #restartAfter(batch: JournalBatch): Promise<void> {
    await this.#until("a batch to be kept", () => this.#kept.has(batch) || batch.outcome !== "none");
    await this.#program?.kill();
    this.#open.clear();
    this.#sequence = 0n;
    this.#program = await this.#start();
  }

  async #until(what: string, isTrue: () => boolean): Promise<void> {
    const { signal, journal } = this.#dependencies;
    await waitFor(what, () => signal.aborted || this.#program?.end !== undefined || isTrue(), 3_600_000);
    signal.throwIfAborted();
    const end = this.#program?.end;
    if (end === undefined) return;
    journal.contradictions.push(`${this.#name}: ${end}`);
    throw new Error(`${this.#name}: ${end}`);
  }

  get #name(): string {
    return this.#dependencies.deviceId;
  }

  #onEvent(event: ProgramEvent): void {
    const { journal, tally } = this.#dependencies;
    const batch = this.#findBatch(event);
    switch (event.event) {
      case "kept":
        if (batch && this.#spool !== undefined) this.#kept.add(batch);
        break;
      case "acknowledged":
        if (!batch) journal.contradictions.push(`${this.#name}: ${JSON.stringify(event)}`);
        else
          journal.acknowledge(batch, { accepted: event.accepted ?? 0, rejections: event.rejections ?? [] });
        this.#settle(event, batch);
        break;
      case "refused":
        if (batch) journal.refuse(batch, { message: event.message ?? "" });
        this.#settle(event, batch);
        break;
      case "later":
        tally.later.set(event.code ?? 0, (tally.later.get(event.code ?? 0) ?? 0) + 1);
        break;
      case "reconnect":
        tally.broken += 1;
        break;
      case "dropped": // its limits are far away
      case "failed":
        journal.contradictions.push(`${this.#name}: ${JSON.stringify(event)}`);
        break;
      case "committed":
      case "flushed":
    }
  }

  #settle({ id }: ProgramEvent, batch: JournalBatch | undefined): void {
    if (id !== undefined) this.#open.delete(id);
    if (batch) this.#kept.delete(batch);
  }

  #findBatch({ id, session, sequence }: ProgramEvent): JournalBatch | undefined {
    if (id !== undefined) return this.#open.get(id);
    return this.#batches.get(toKey(session ?? "", sequence ?? ""));
  }
}

function toKey(session: string, sequence: string): string {
  return `${session} ${sequence}`;
}
