import { Gauge, type Registry } from "#lib/metrics.ts";
import { type SessionKey, type SessionProgress, sessionKeyText } from "#stream/session-progress.ts";
import type { SessionQuestions } from "./requester.ts";

/** How far a session is committed, and how many of its batches until there are only declared as dropped. */
export type Committed = Pick<SessionProgress, "committed" | "droppedCount">;

/** One stream's look at one session. */
export interface Watch {
  /** The newest that is known; undefined: no consumer has answered yet. */
  readonly committed: Committed | undefined;
  /** A batch with this sequence was acknowledged, so there should be news. */
  expect(sequence: bigint): void;
  close(): void;
}

interface Watched {
  readonly name: SessionKey;
  readonly listeners: Set<() => void>;
  committed: Committed | undefined;
  /** The highest sequence that was acknowledged. */
  expected: bigint;
  /** News may have been missed since the last. */
  isStale: boolean;
  /** When the consumers are asked, unless there is news before, and how long after that again. */
  askAt: number;
  pauseMs: number;
}

/**
 * Without news, a session is asked about after `first`, then after twice as long each time, up to `max`. Where nothing
 * is expected, after `idle`: its batches may come by another server, and the only message about them may be lost.
 */
const pauseMs = { first: 2_000, max: 16_000, idle: 60_000 } as const;
const lookIntervalMs = 500;

/**
 * What streams want to know of sessions. News come by themselves after every COMMIT; a message that was lost is made
 * up for by asking: at the start, when the subscription was away, when there is no news although batches were
 * acknowledged, and once a minute in any case. What is kept is one small object a session, as long as a stream watches it.
 */
export class SessionWatches {
  readonly #watched = new Map<string, Watched>();
  readonly #questions: Pick<SessionQuestions, "ask">;
  readonly #idleMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #gauge: Gauge;

  constructor(questions: Pick<SessionQuestions, "ask">, registry: Registry, idleMs: number = pauseMs.idle) {
    this.#questions = questions;
    this.#idleMs = idleMs;
    this.#timer = setInterval(() => this.#look(), lookIntervalMs);
    this.#gauge = new Gauge({
      name: "fleetlog_progress_subscriptions",
      help: "Sessions whose progress this server reports to streams",
      registers: [registry],
    });
  }

  get size(): number {
    return this.#watched.size;
  }

  /** Calls `onNews` when more is known, until it is closed. */
  watch(name: SessionKey, onNews: () => void): Watch {
    const key = sessionKeyText(name);
    let session = this.#watched.get(key);
    if (session === undefined) {
      session = {
        name,
        listeners: new Set(),
        committed: undefined,
        expected: 0n,
        isStale: true,
        askAt: 0,
        pauseMs: pauseMs.first,
      };
      this.#watched.set(key, session);
      this.#gauge.set(this.#watched.size);
      this.#ask(session);
    }
    const watched = session;
    watched.listeners.add(onNews);
    return {
      get committed() {
        return watched.committed;
      },
      expect(sequence) {
        if (sequence <= watched.expected) return;
        if (!isWanted(watched)) {
          watched.pauseMs = pauseMs.first;
          watched.askAt = performance.now() + pauseMs.first;
        }
        watched.expected = sequence;
      },
      close: () => {
        watched.listeners.delete(onNews);
        if (watched.listeners.size > 0 || this.#watched.get(key) !== watched) return;
        this.#watched.delete(key);
        this.#gauge.set(this.#watched.size);
      },
    };
  }

  /** Takes what a consumer said. Messages overtake each other, and each was true: the highest counts. */
  hear({ committed, droppedCount, ...name }: SessionProgress): void {
    const session = this.#watched.get(sessionKeyText(name));
    if (session === undefined) return;
    session.isStale = false;
    if (isNewer({ committed, droppedCount }, session.committed)) {
      session.committed = { committed, droppedCount };
      session.pauseMs = pauseMs.first;
      for (const onNews of session.listeners) onNews();
    }
    session.askAt = performance.now() + (isWanted(session) ? session.pauseMs : this.#idleMs);
  }

  /** News may have been missed: everything is asked for again within a moment, not all at once. */
  askAgain(): void {
    const now = performance.now();
    for (const session of this.#watched.values()) {
      session.isStale = true;
      session.pauseMs = pauseMs.first;
      session.askAt = now + Math.random() * pauseMs.first;
    }
  }

  /** Whoever could not tell for want of an epoch can now. */
  epochsChanged(): void {
    for (const session of this.#watched.values()) for (const onNews of session.listeners) onNews();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    for (const session of this.#watched.values()) {
      if (session.askAt <= now) this.#ask(session);
    }
  }

  #ask(session: Watched): void {
    this.#questions.ask({ ...session.name, withRanges: false });
    const pause = isWanted(session) ? session.pauseMs : this.#idleMs;
    session.askAt = performance.now() + pause * (0.75 + Math.random() / 2);
    session.pauseMs = Math.min(session.pauseMs * 2, pauseMs.max);
  }
}

/** Whether news is due: not of a session that is committed as far as this server has seen it sent. */
function isWanted({ committed, expected, isStale }: Watched): boolean {
  return isStale || committed === undefined || committed.committed < expected;
}

/** Numbers only ever become committed, and of those that were declared as dropped some may be stored after all. */
function isNewer(said: Committed, known: Committed | undefined): boolean {
  if (known === undefined || said.committed !== known.committed) {
    return known === undefined || said.committed > known.committed;
  }
  return said.droppedCount < known.droppedCount;
}
