import { type ContextValues, createContextKey } from "@connectrpc/connect";

/** Who asks, as far as it matters to what is shared among all who do. */
export interface Caller {
  /** Of this client's calls some share of what there is runs or waits. */
  readonly client: string;
  /** Aborts when the caller leaves. */
  readonly signal: AbortSignal;
}

/** The client of a call, set by the listener; see `createClientNamer`. */
export const clientKey = createContextKey("unknown");

export function readCaller({ values, signal }: { values: ContextValues; signal: AbortSignal }): Caller {
  return { client: values.get(clientKey), signal };
}
