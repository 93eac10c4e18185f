import type { IncomingMessage, ServerResponse } from "node:http";
import { Code } from "@connectrpc/connect";
import { createAsyncIterable, type UniversalHandler } from "@connectrpc/connect/protocol";
import type { createAdminHandler } from "#lib/admin-server.ts";
import type { Logger } from "#lib/logger.ts";
import type { Admit, Caller } from "#rpc/admission.ts";
import type { Cors } from "#rpc/cors.ts";
import { createHttpListener, type HttpListener } from "#rpc/http-listener.ts";
import { checkRequest, requestError, unknownPath, wrongMethod } from "#rpc/request-error.ts";
import { sendError } from "#rpc/send-error.ts";
import {
  type NodeRequest,
  type NodeResponse,
  onFailure,
  serveCall,
  type UniversalRequest,
  type UniversalResponse,
} from "#rpc/serve-call.ts";
import { type ResponseCache, responseLifetime } from "../cache/response-cache.ts";
import type { RestHandlers } from "../rest/rest-handlers.ts";
import type { DashboardHandler } from "./dashboard-files.ts";
import { isRead, notModified } from "./not-modified.ts";
import { type RpcHandlers, requestBytesMax } from "./rpc-handlers.ts";
import { sendParseError } from "./send-parse-error.ts";

export interface GatewayHandlers {
  readonly admin: ReturnType<typeof createAdminHandler>;
  readonly page: DashboardHandler;
  readonly rpc: RpcHandlers;
  readonly rest: RestHandlers;
  /** What was answered just now. */
  readonly kept: ResponseCache;
  /** What is read by GET and is no RPC, by its path. */
  readonly plain: ReadonlyMap<string, PlainHandler>;
}

/** Answers errors itself; what it throws is a bug of ours. */
export type PlainHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  caller: Caller,
) => void | Promise<void>;

export interface GatewayListenerOptions {
  readonly admit: Admit;
  readonly cors: Cors;
  readonly logger: Logger;
}

/**
 * Everything the gateway serves, on one port: all of it over HTTP/1.1, and over HTTP/2 the RPCs, which gRPC needs it for.
 * What it does not serve is answered with what it does.
 */
export function createGatewayListener(
  handlers: GatewayHandlers,
  { admit, cors, logger }: GatewayListenerOptions,
): HttpListener {
  const listener = createHttpListener(
    {
      http1(request, response, caller) {
        if (handlers.admin(request, response) || cors.handle(request, response)) return;
        const { url = "/" } = request;
        if (url.length > urlBytesMax) {
          const message = `the URL has ${url.length} bytes, expected at most ${urlBytesMax}: use POST`;
          sendError(request, response, requestError(414, Code.InvalidArgument, message));
          return;
        }
        if (handlers.page.serve(request, response)) return;
        route(handlers, { request, response, caller, logger });
      },
      http2(request, response, caller) {
        if (cors.handle(request, response)) return;
        const path = pathOf(request);
        const rpc = handlers.rpc.get(path);
        if (rpc === undefined) return sendError(request, response, unknownPath(path));
        if (answerOptions(request, response, rpc.allowedMethods)) return;
        const error = checkRequest(rpc, request);
        if (error !== undefined) return sendError(request, response, error);
        serveCall(withoutBody(rpc), request, response, { caller, logger });
      },
    },
    {
      // A page of another origin is to read this error, too.
      admit: (request) => {
        const caller = admit(request);
        return "error" in caller
          ? { ...caller, headers: { ...caller.headers, ...cors.headers(request) } }
          : caller;
      },
      http1: { requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: headerBytesMax },
      onClientError: sendParseError,
      windowBytes: { stream: requestBytesMax, connection: 4 * requestBytesMax },
      headerBytesMax,
    },
  );
  listener.server.maxConnections = connectionsMax;
  return listener;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly caller: Caller;
  readonly logger: Logger;
}

function route(handlers: GatewayHandlers, { request, response, caller, logger }: Exchange): void {
  const path = pathOf(request);
  const handler = handlers.rpc.get(path) ?? handlers.rest.find(path);
  const plain = path === "/" ? sendIndex(handlers) : handlers.plain.get(path);
  const allowedMethods = handler?.allowedMethods ?? plainMethods;
  if (handler === undefined && plain === undefined) {
    if (handlers.page.serveNotFound(request, response)) return;
    // Connect and gRPC-Web clients are to read a missing method as UNIMPLEMENTED, people a path as not found.
    const code = path.startsWith("/fleetlog.") ? Code.Unimplemented : Code.NotFound;
    const known = `not found, available: ${addressesOf(handlers).join(", ")}`;
    sendError(request, response, unknownPath(path, known, code));
  } else if (answerOptions(request, response, allowedMethods)) {
    return;
  } else if (handler !== undefined) {
    const error = checkRequest(handler, request);
    if (error !== undefined) return sendError(request, response, error);
    // Also the responses to POST: compressed or not, as the caller accepts it.
    response.appendHeader("vary", "accept-encoding");
    serveCall(withoutBody(cached(handlers.kept, handler, request)), request, response, { caller, logger });
  } else if (!allowedMethods.includes(request.method ?? "")) {
    sendError(request, response, wrongMethod(request.method, allowedMethods));
  } else {
    (async () => plain?.(request, response, caller))().catch((error: unknown) =>
      onFailure(error, request, response, logger),
    );
  }
}

/** What a request may do with this resource, as RFC 9110, 9.3.7 has it. */
function answerOptions(
  { method }: NodeRequest,
  response: NodeResponse,
  allowedMethods: readonly string[],
): boolean {
  if (method !== "OPTIONS") return false;
  response.statusCode = 204;
  response.setHeader("allow", allowedMethods.join(", "));
  response.end();
  return true;
}

function sendIndex(handlers: GatewayHandlers): PlainHandler {
  return (_request, response) => {
    const index = { service: "fleetlog gateway", addresses: addressesOf(handlers) };
    const text = `${JSON.stringify(index, null, 2)}\n`;
    response.setHeader("content-type", "application/json");
    response.setHeader("content-length", Buffer.byteLength(text));
    response.setHeader("cache-control", "no-cache");
    response.appendHeader("vary", "accept");
    response.end(text);
  };
}

/** The status and the headers are those of GET; the body of a HEAD is not sent. */
function withoutBody(handler: CallHandler): CallHandler {
  return async (request) => {
    const response = await handler(request);
    if (request.method !== "HEAD") return response;
    await response.body?.[Symbol.asyncIterator]().return?.();
    return { status: response.status, ...(response.header && { header: response.header }) };
  };
}

type CallHandler = (request: UniversalRequest) => Promise<UniversalResponse>;

/** The handler behind the cache of responses. */
function cached(kept: ResponseCache, handler: UniversalHandler, request: IncomingMessage): CallHandler {
  return async (universalRequest) => {
    const question = await kept.read(handler, request);
    const known = question && kept.find(handler, question);
    if (known !== undefined) {
      const { header, body } = known;
      return notModified(request, { status: 200, header, body: createAsyncIterable([body]) });
    }
    const body = question && !isRead(request) ? { body: createAsyncIterable([question.body]) } : {};
    const response = await handler({ ...universalRequest, ...body });
    const lifetimeMs = universalRequest.contextValues?.get(responseLifetime);
    const isKept = question !== undefined && lifetimeMs !== undefined;
    return notModified(request, isKept ? await kept.keep(question, response, lifetimeMs) : response);
  };
}

function pathOf({ url = "/" }: { readonly url?: string | undefined }): string {
  return url.split("?", 1)[0] ?? "/";
}

function addressesOf({ rpc, rest, plain }: GatewayHandlers): string[] {
  return [...rest.paths, ...plain.keys(), ...rpc.keys(), "/livez", "/readyz", "/metrics"];
}

/** A filter of 100 devices with the longest names fits. */
const urlBytesMax = 32 * 1024;
const headerBytesMax = 48 * 1024;
/** Beyond this, new connections are closed at once. */
const connectionsMax = 4096;
const plainMethods = ["GET", "HEAD"];
