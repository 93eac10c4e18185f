import type { IncomingHttpHeaders } from "node:http";
import { Code, createContextKey } from "@connectrpc/connect";
import type { HostCheck } from "#lib/allowed-hosts.ts";
import { type RequestError, requestError } from "./request-error.ts";

/*
 * Every listener admits a request before it looks for a handler: the request must name an allowed host, and gets a
 * caller. This is the place for identity: a credential in the headers, or a certificate of the connection, becomes the
 * caller's principal here, and an invalid one becomes UNAUTHENTICATED, before a byte of the body is read.
 */

/** Who makes a call. */
export interface Caller {
  /** Calls of one client share what one client may have. */
  readonly client: string;
}

/** The head of a request, alike in HTTP/1.1 and HTTP/2. */
export interface RequestHead {
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingHttpHeaders;
  readonly socket?: { readonly remoteAddress?: string | undefined } | undefined;
}

/** Synchronous, for it is on the path of every batch. */
export type Admit = (request: RequestHead) => Caller | RequestError;

/** Establishes the caller of an allowed host's request. */
export type IdentifyCaller = (request: Pick<RequestHead, "headers" | "socket">) => Caller;

export function createAdmission(checkHost: HostCheck, identify: IdentifyCaller = () => unknownCaller): Admit {
  return (request) => {
    const problem = checkHost(request);
    return problem === undefined ? identify(request) : requestError(421, Code.PermissionDenied, problem);
  };
}

export const unknownCaller: Caller = { client: "unknown" };

/** The caller, for handlers and interceptors of Connect. */
export const callerKey = createContextKey<Caller>(unknownCaller);
