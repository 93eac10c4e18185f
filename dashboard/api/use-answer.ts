import { useEffect, useRef, useState } from "preact/hooks";
import { type Failure, failureOf } from "./failure.ts";

export interface Answer<T> {
  /** The last good answer; stays while the next one is on its way. */
  readonly value: T | undefined;
  readonly failure: Failure | undefined;
  readonly isLoading: boolean;
}

/** Asks whenever `key` changes, gives up what was asked before, and every `refreshMs` asks again while the page is seen. */
export function useAnswer<T>(
  key: string,
  ask: (signal: AbortSignal) => Promise<T>,
  { refreshMs = 0 } = {},
): Answer<T> & { again: () => void } {
  const [answer, setAnswer] = useState<Answer<T>>({ value: undefined, failure: undefined, isLoading: true });
  const [round, setRound] = useState(0);
  const asked = useRef(ask);
  asked.current = ask;
  useEffect(() => {
    const abort = new AbortController();
    setAnswer((before) => ({ ...before, isLoading: true }));
    asked.current(abort.signal).then(
      (value) => !abort.signal.aborted && setAnswer({ value, failure: undefined, isLoading: false }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setAnswer((before) => ({ value: before.value, failure: failureOf(error), isLoading: false }));
      },
    );
    return () => abort.abort();
  }, [key, round]);
  useEffect(() => {
    if (refreshMs === 0) return;
    const timer = setInterval(() => !document.hidden && setRound((round) => round + 1), refreshMs);
    return () => clearInterval(timer);
  }, [refreshMs]);
  return { ...answer, again: () => setRound(round + 1) };
}
