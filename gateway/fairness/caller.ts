import type { ContextValues } from "@connectrpc/connect";
import { callerKey, type Caller as RpcCaller } from "#rpc/admission.ts";

/** The caller of an RPC, as the shared limits see it. */
export interface Caller extends RpcCaller {
  /** Aborts when the caller disconnects. */
  readonly signal: AbortSignal;
}

export function readCaller({ values, signal }: { values: ContextValues; signal: AbortSignal }): Caller {
  return { ...values.get(callerKey), signal };
}
