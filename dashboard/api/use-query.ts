import { useEffect, useRef, useState } from "preact/hooks";
import { type Failure, toFailure } from "./failure.ts";

export interface QueryState<T> {
  /** The last successful response; it stays while the next one loads. */
  readonly value: T | undefined;
  readonly failure: Failure | undefined;
  readonly isLoading: boolean;
}

/**
 * Loads whenever `key` changes, aborts the load before, and reloads every `refreshMs` while the document is
 * visible.
 */
export function useQuery<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  { refreshMs = 0 } = {},
): QueryState<T> & { retry: () => void } {
  const [state, setState] = useState<QueryState<T>>({
    value: undefined,
    failure: undefined,
    isLoading: true,
  });
  const [round, setRound] = useState(0);
  const latestLoad = useRef(load);
  latestLoad.current = load;
  useEffect(() => {
    const abort = new AbortController();
    setState((before) => ({ ...before, isLoading: true }));
    latestLoad.current(abort.signal).then(
      (value) => !abort.signal.aborted && setState({ value, failure: undefined, isLoading: false }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setState((before) => ({ value: before.value, failure: toFailure(error), isLoading: false }));
      },
    );
    return () => abort.abort();
  }, [key, round]);
  useEffect(() => {
    if (refreshMs === 0) return;
    const timer = setInterval(() => !document.hidden && setRound((round) => round + 1), refreshMs);
    return () => clearInterval(timer);
  }, [refreshMs]);
  return { ...state, retry: () => setRound(round + 1) };
}
