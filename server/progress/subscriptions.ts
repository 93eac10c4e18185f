import { Gauge, type Registry } from "#lib/metrics.ts";
import { type SessionKey, type SessionProgress, sessionKeyText } from "#stream/session-progress.ts";
import type { ProgressRequester } from "./requester.ts";

/** All batches up to `committed` are settled; `droppedCount` of them were only declared as dropped. */
export type Committed = Pick<SessionProgress, "committed" | "droppedCount">;

/** One stream's subscription to one session. */
export interface SessionSubscription {
  /** The newest progress; undefined until a consumer answered. */
  readonly committed: Committed | undefined;
  /** A batch with this sequence was acknowledged: progress should follow. */
  expect(sequence: bigint): void;
  close(): void;
}

interface SubscribedSession {
  readonly key: SessionKey;
  readonly listeners: Set<() => void>;
  committed: Committed | undefined;
  /** The highest sequence that was acknowledged. */
  expected: bigint;
  /** A message may have been missed since the last one. */
  isStale: boolean;
  /** When to request progress unless a message comes first, and the pause after that. */
  requestAt: number;
  pauseMs: number;
}

/**
 * Without a message, progress is requested after `first`, then after twice as long each time, up to `max`; for a
 * session that expects nothing after `idle`: its batches may go through another server, and a message may be lost.
 */
const pauseMs = { first: 2_000, max: 16_000, idle: 60_000 } as const;
const checkIntervalMs = 500;

/**
 * The sessions whose progress streams report. Consumers publish progress after every COMMIT; lost messages are made up
 * for by requests: at the start, after the subscription to Redis was interrupted, when acknowledged batches bring no
 * message, and once a minute. Keeps one small object per session while a stream subscribes to it.
 */
export class ProgressSubscriptions {
  readonly #sessions = new Map<string, SubscribedSession>();
  readonly #requester: Pick<ProgressRequester, "request">;
  readonly #idleMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #gauge: Gauge;

  constructor(
    requester: Pick<ProgressRequester, "request">,
    registry: Registry,
    idleMs: number = pauseMs.idle,
  ) {
    this.#requester = requester;
    this.#idleMs = idleMs;
    this.#timer = setInterval(() => this.#check(), checkIntervalMs);
    this.#gauge = new Gauge({
      name: "fleetlog_progress_subscriptions",
      help: "Sessions whose progress this server reports to streams",
      registers: [registry],
    });
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Calls `onChange` on each change, until closed. */
  subscribe(name: SessionKey, onChange: () => void): SessionSubscription {
    const key = sessionKeyText(name);
    let session = this.#sessions.get(key);
    if (session === undefined) {
      session = {
        key: name,
        listeners: new Set(),
        committed: undefined,
        expected: 0n,
        isStale: true,
        requestAt: 0,
        pauseMs: pauseMs.first,
      };
      this.#sessions.set(key, session);
      this.#gauge.set(this.#sessions.size);
      this.#request(session);
    }
    const watched = session;
    watched.listeners.add(onChange);
    return {
      get committed() {
        return watched.committed;
      },
      expect(sequence) {
        if (sequence <= watched.expected) return;
        if (!needsRequest(watched)) {
          watched.pauseMs = pauseMs.first;
          watched.requestAt = performance.now() + pauseMs.first;
        }
        watched.expected = sequence;
      },
      close: () => {
        watched.listeners.delete(onChange);
        if (watched.listeners.size > 0 || this.#sessions.get(key) !== watched) return;
        this.#sessions.delete(key);
        this.#gauge.set(this.#sessions.size);
      },
    };
  }

  /** Receives the message of a consumer. Messages may arrive out of order; the highest counts. */
  onProgress({ committed, droppedCount, ...name }: SessionProgress): void {
    const session = this.#sessions.get(sessionKeyText(name));
    if (session === undefined) return;
    session.isStale = false;
    if (isNewer({ committed, droppedCount }, session.committed)) {
      session.committed = { committed, droppedCount };
      session.pauseMs = pauseMs.first;
      for (const onChange of session.listeners) onChange();
    }
    session.requestAt = performance.now() + (needsRequest(session) ? session.pauseMs : this.#idleMs);
  }

  /** Messages may have been missed: requests the progress of every session, spread over 2 s. */
  requestAll(): void {
    const now = performance.now();
    for (const session of this.#sessions.values()) {
      session.isStale = true;
      session.pauseMs = pauseMs.first;
      session.requestAt = now + Math.random() * pauseMs.first;
    }
  }

  /** Reports that waited for an epoch can be sent now. */
  epochsChanged(): void {
    for (const session of this.#sessions.values()) for (const onChange of session.listeners) onChange();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const now = performance.now();
    for (const session of this.#sessions.values()) {
      if (session.requestAt <= now) this.#request(session);
    }
  }

  #request(session: SubscribedSession): void {
    this.#requester.request({ ...session.key, withRanges: false });
    const pause = needsRequest(session) ? session.pauseMs : this.#idleMs;
    session.requestAt = performance.now() + pause * (0.75 + Math.random() / 2);
    session.pauseMs = Math.min(session.pauseMs * 2, pauseMs.max);
  }
}

/** False when everything this server acknowledged is committed. */
function needsRequest({ committed, expected, isStale }: SubscribedSession): boolean {
  return isStale || committed === undefined || committed.committed < expected;
}

/** Committed numbers only grow; a batch declared as dropped may still be stored later. */
function isNewer(received: Committed, known: Committed | undefined): boolean {
  if (known === undefined || received.committed !== known.committed) {
    return known === undefined || received.committed > known.committed;
  }
  return received.droppedCount < known.droppedCount;
}
