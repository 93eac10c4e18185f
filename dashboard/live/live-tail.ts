import { signal } from "@preact/signals";
import type { LogEntry, TailLogsResponse } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { TailState } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { query } from "../api/client.ts";
import { type Failure, toFailure } from "../api/failure.ts";
import type { filterMessage } from "../api/filter-request.ts";
import { toMicros } from "../api/timestamp.ts";
import { logKey } from "../components/log-key.ts";
import type { Micros } from "../state/time-range.ts";

/** The number of records kept; the oldest are dropped. */
export const rowsMax = 5000;
/** The number of records that may wait; beyond it the tail is closed and resumed later. */
const waitingMax = 5000;
/** The number of newest records requested at the start. */
const lastMax = 100;

export type LiveState = "connecting" | "following" | "interrupted" | "reconnecting" | "failed";

/** A note between two records. */
export interface LiveNote {
  readonly text: string;
  /** A link to the records that are missing here. */
  readonly range: { readonly from: Micros | undefined; readonly to: Micros | undefined } | undefined;
}

/**
 * Follows the records that match a filter and reconnects after every loss of the connection. While paused, new
 * records wait, up to a bound; then the call is ended and resumed later by its token. Nothing is omitted,
 * except where a note says so.
 */
export class LiveTail {
  readonly rows = signal<readonly LogEntry[]>([]);
  /** By the key of the record they precede; "": after the last. */
  readonly notes = signal<ReadonlyMap<string, LiveNote>>(new Map());
  readonly waiting = signal(0);
  readonly state = signal<LiveState>("connecting");
  readonly failure = signal<Failure | undefined>(undefined);
  readonly #filter: ReturnType<typeof filterMessage>;
  readonly #closed = new AbortController();
  #incoming: (LogEntry | LiveNote)[] = [];
  #token = "";
  #isPaused = false;
  #call = new AbortController();
  #resumed = Promise.withResolvers<void>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(filter: ReturnType<typeof filterMessage>) {
    this.#filter = filter;
    void this.#run();
  }

  pause(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    if (isPaused) return;
    this.#show();
    this.#resumed.resolve();
    this.#resumed = Promise.withResolvers();
  }

  /** Reconnects after a permanent failure. */
  retry(): void {
    if (this.state.value === "failed") void this.#run();
  }

  close(): void {
    this.#closed.abort();
    this.#call.abort();
    this.#resumed.resolve();
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    this.state.value = "connecting";
    for (let failures = 0; !this.#closed.signal.aborted; ) {
      const known = this.#token;
      try {
        await this.#listen();
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        this.failure.value = toFailure(error);
        if (this.failure.value?.canRetry === false) {
          this.state.value = "failed";
          return;
        }
      }
      if (this.#isFull) {
        await this.#resumed.promise;
        continue;
      }
      failures = this.#token === known ? failures + 1 : 1;
      this.state.value = this.#token === "" ? "connecting" : "reconnecting";
      await pause(Math.min(250 * 2 ** failures, 5000), this.#closed.signal);
    }
  }

  /** One call, from the end of the last one until it breaks. */
  async #listen(): Promise<void> {
    this.#call = new AbortController();
    const call = this.#call;
    let silence = setTimeout(() => call.abort(), silenceMs);
    try {
      const request = { filter: this.#filter, last: lastMax, resumeToken: this.#token };
      for await (const message of query.tailLogs(request, { signal: call.signal })) {
        clearTimeout(silence);
        silence = setTimeout(() => call.abort(), silenceMs);
        this.failure.value = undefined;
        this.#take(message);
        this.#token = message.resumeToken;
        if (this.#isFull) return;
      }
    } finally {
      clearTimeout(silence);
      call.abort();
    }
  }

  get #isFull(): boolean {
    return this.#isPaused && this.waiting.value >= waitingMax;
  }

  #take({ event }: TailLogsResponse): void {
    switch (event.case) {
      case "state":
        this.state.value = event.value === TailState.INTERRUPTED ? "interrupted" : "following";
        return;
      case "logs":
        this.#incoming.push(...event.value.logs);
        break;
      case "skipped": {
        const count = Number(event.value.recordCount).toLocaleString("en");
        const text = `${count} records were skipped here: the browser reads too slowly.`;
        this.#incoming.push({ text, range: undefined });
        break;
      }
      case "gap": {
        const [from, to] = [toMicros(event.value.startTime), toMicros(event.value.endTime)];
        this.#incoming.push({
          text: `Records may be missing here: ${event.value.reason}.`,
          range: { from, to },
        });
        break;
      }
      case undefined:
        return;
    }
    if (this.#isPaused) this.waiting.value = this.#incoming.filter(isLog).length;
    else this.#timer ??= setTimeout(() => this.#show(), showEveryMs);
  }

  /** Moves the waiting records to the rows, unless the tail is paused. */
  #show(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isPaused) {
      this.waiting.value = this.#incoming.filter(isLog).length;
      return;
    }
    const incoming = this.#incoming;
    this.#incoming = [];
    this.waiting.value = 0;
    if (incoming.length === 0) return;
    const rows = [...this.rows.value];
    const notes = new Map(this.notes.value);
    // After a gap some records arrive again.
    const known = notes.size > 0 || !incoming.every(isLog) ? new Set(rows.map(logKey)) : undefined;
    for (const one of incoming) {
      if (!isLog(one)) {
        notes.set("", one);
        continue;
      }
      const key = logKey(one);
      if (known?.has(key)) continue;
      const note = notes.get("");
      if (note !== undefined) {
        notes.set(key, note);
        notes.delete("");
      }
      rows.push(one);
    }
    for (const old of rows.splice(0, Math.max(0, rows.length - rowsMax))) notes.delete(logKey(old));
    this.rows.value = rows;
    this.notes.value = notes;
  }
}

function isLog(one: LogEntry | LiveNote): one is LogEntry {
  return "deviceId" in one;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}

/** Faster updates are not readable. */
const showEveryMs = 100;
/** The gateway sends a heartbeat every 15 s: after this time the connection is dead, as after a laptop was closed. */
const silenceMs = 40_000;
