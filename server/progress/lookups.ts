import {
  type SessionKey,
  type SessionProgress,
  type SessionRanges,
  sessionKeyText,
} from "#stream/session-progress.ts";
import { later } from "../ingest.ts";
import { type Refusal, unavailable } from "../outcome.ts";
import type { SessionQuestions } from "./requester.ts";

/** Sessions that may be asked for at one time; calls for the same one share a question. */
const lookupsMax = 1_000;
/** A message may be lost: the question is put again, and again, until it is given up. */
const askEveryMs = 1_000;
const asksMax = 3;

type Answer = SessionRanges | Refusal;

interface Lookup {
  readonly answer: Promise<Answer>;
  readonly settle: (answer: Answer) => void;
}

/** Answers GetSession: asks the consumers, and waits for the first to say all that it knows, 3 s at most. */
export class SessionLookups {
  readonly #questions: Pick<SessionQuestions, "ask">;
  readonly #lookups = new Map<string, Lookup>();

  constructor(questions: Pick<SessionQuestions, "ask">) {
    this.#questions = questions;
  }

  get size(): number {
    return this.#lookups.size;
  }

  /** What is known of a session; a refusal with UNAVAILABLE when nobody says it in time. */
  look(name: SessionKey): Promise<Answer> {
    const key = sessionKeyText(name);
    const under = this.#lookups.get(key);
    if (under !== undefined) return under.answer;
    if (this.#lookups.size >= lookupsMax) {
      return Promise.resolve(later(unavailable, `${lookupsMax} session lookups are in flight: retry later`));
    }
    const { promise: answer, resolve } = Promise.withResolvers<Answer>();
    let asks = 0;
    const ask = () => {
      asks += 1;
      if (asks <= asksMax) this.#questions.ask({ ...name, withRanges: true });
      else settle(later(unavailable, "no consumer answered: retry later"));
    };
    const timer = setInterval(ask, askEveryMs);
    const settle = (answer: Answer) => {
      clearInterval(timer);
      this.#lookups.delete(key);
      resolve(answer);
    };
    this.#lookups.set(key, { answer, settle });
    ask();
    return answer;
  }

  /** Takes what a consumer said. */
  hear(said: SessionProgress | SessionRanges): void {
    if ("received" in said) this.#lookups.get(sessionKeyText(said))?.settle(said);
  }
}
