import type { ContextValues } from "@connectrpc/connect";
import { callerKey, type Caller as RpcCaller } from "#rpc/admission.ts";

/** Who asks, as far as it matters to what is shared among all who do. */
export interface Caller extends RpcCaller {
  /** Aborts when the caller leaves. */
  readonly signal: AbortSignal;
}

export function readCaller({ values, signal }: { values: ContextValues; signal: AbortSignal }): Caller {
  return { ...values.get(callerKey), signal };
}
