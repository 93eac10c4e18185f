import type { IncomingMessage, ServerResponse } from "node:http";
import { Code, ConnectError, type ContextValues, createContextValues } from "@connectrpc/connect";
import { createAsyncIterable, type UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { createAdminHandler } from "#lib/admin-server.ts";
import type { HostCheck } from "#lib/allowed-hosts.ts";
import type { Logger } from "#lib/logger.ts";
import { isGrpc, refuseRequest } from "#lib/refuse-request.ts";
import { createHttpListener, type HttpListener } from "#rpc/http-listener.ts";
import { type ResponseCache, responseLifetime } from "../cache/response-cache.ts";
import { clientKey } from "../fairness/caller.ts";
import { show } from "../fields/invalid-field.ts";
import type { RestHandlers } from "../rest/rest-handlers.ts";
import type { ClientNamer } from "./client-name.ts";
import type { Cors } from "./cors.ts";
import type { DashboardHandler } from "./dashboard-files.ts";
import { createHttp2Calls } from "./http2-calls.ts";
import { type RpcHandlers, requestBytesMax } from "./rpc-handlers.ts";
import { sendCode } from "./send-error.ts";
import { sendNotModified } from "./send-not-modified.ts";
import { sendParseError } from "./send-parse-error.ts";
import { withDetails } from "./with-details.ts";

export interface GatewayHandlers {
  readonly admin: ReturnType<typeof createAdminHandler>;
  readonly page: DashboardHandler;
  readonly rpc: RpcHandlers;
  readonly rest: RestHandlers;
  readonly nameClient: ClientNamer;
  /** What was answered just now. */
  readonly kept: ResponseCache;
  /** What is read by GET and is no RPC, by its path. */
  readonly plain: ReadonlyMap<string, PlainHandler>;
}

/** Answers errors itself; what it throws is a bug of ours. */
export type PlainHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/**
 * Everything the gateway serves, on one port: all of it over HTTP/1.1, and over HTTP/2 the RPCs, which gRPC needs it for.
 * What it does not serve is answered with what it does.
 */
export function createGatewayListener(
  handlers: GatewayHandlers,
  cors: Cors,
  checkHost: HostCheck,
  logger: Logger,
): HttpListener {
  const listener = createHttpListener(
    {
      http1(request, response) {
        const misdirected = checkHost(request);
        if (misdirected !== undefined) {
          refuseRequest(request, response, misdirected);
          return;
        }
        try {
          route(handlers, cors, logger, request, response);
        } catch (error) {
          // Connect builds a URL from the Host header, and that throws for what is no host.
          logger.debug({ err: error }, "bad request");
          sendCode(response, 400, Code.InvalidArgument, "the Host header or the path is malformed");
        }
      },
      http2: createHttp2Calls(handlers, checkHost, logger),
    },
    {
      http1: { requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: headerBytesMax },
      onClientError: sendParseError,
      windowBytes: { stream: requestBytesMax, connection: 4 * requestBytesMax },
      headerBytesMax,
    },
  );
  listener.server.maxConnections = connectionsMax;
  return listener;
}

function route(
  handlers: GatewayHandlers,
  cors: Cors,
  logger: Logger,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { url = "/" } = request;
  const [path = "/"] = url.split("?", 1);
  if (url.length > urlBytesMax) {
    const message = `the URL has ${url.length} bytes, expected at most ${urlBytesMax}: use POST`;
    sendCode(response, 414, Code.InvalidArgument, message);
    return;
  }
  if (handlers.admin(request, response) || handlers.page(request, response)) return;
  const rpc = handlers.rpc.get(path);
  const rest = handlers.rest.find(path);
  const plain = handlers.plain.get(path);
  if ((rpc ?? rest ?? plain) !== undefined && cors(request, response)) return;
  if (rpc !== undefined && isGrpc(request.headers["content-type"])) {
    const message = "gRPC requires HTTP/2: over HTTP/1.1 use Connect or gRPC-Web";
    sendCode(response, 505, Code.Unimplemented, message);
  } else if (rpc !== undefined) {
    serve(handlers, rpc, rpc.allowedMethods, logger, request, response);
  } else if (rest !== undefined) {
    serve(handlers, rest, ["GET"], logger, request, response);
  } else if (plain !== undefined) {
    if (!isAllowed(["GET"], request, response)) return;
    (async () => plain(request, response))().catch(failed(logger, request, response));
  } else if (path === "/") {
    const index = { service: "fleetlog gateway", addresses: addressesOf(handlers) };
    response.writeHead(200, json).end(`${JSON.stringify(index, null, 2)}\n`);
  } else {
    // Connect and gRPC-Web clients are to read a missing method as UNIMPLEMENTED, people a path as not found.
    const code = path.startsWith("/fleetlog.") ? Code.Unimplemented : Code.NotFound;
    const message = `${path.slice(0, 200)}: not found, available: ${addressesOf(handlers).join(", ")}`;
    sendCode(response, 404, code, message);
  }
}

function serve(
  { kept, nameClient }: GatewayHandlers,
  handler: UniversalHandler,
  methods: readonly string[],
  logger: Logger,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (!isAllowed(methods, request, response)) return;
  const contextValues = createContextValues().set(clientKey, nameClient(request));
  const universalRequest = universalRequestFromNodeRequest(request, response, undefined, contextValues);
  respond(kept, handler, { ...universalRequest, contextValues }, request, response).catch(
    failed(logger, request, response),
  );
}

/** Answers 405 when the method is none of these. */
function isAllowed(methods: readonly string[], request: IncomingMessage, response: ServerResponse): boolean {
  if (methods.includes(request.method ?? "")) return true;
  response.setHeader("allow", methods.join(", "));
  const message = `method ${request.method}: expected ${methods.join(" or ")}`;
  sendCode(response, 405, Code.Unimplemented, message);
  return false;
}

function failed(logger: Logger, request: IncomingMessage, response: ServerResponse) {
  return (error: unknown): void => {
    // Of a caller who left there is nobody to tell.
    if (ConnectError.from(error).code === Code.Aborted || response.destroyed) return;
    logger.error({ err: error, path: request.url }, "failed to send a response");
    if (response.headersSent) response.destroy();
    else sendCode(response, 500, Code.Internal, "internal error");
  };
}

async function respond(
  kept: ResponseCache,
  handler: UniversalHandler,
  universalRequest: Parameters<UniversalHandler>[0] & { readonly contextValues: ContextValues },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const question = await kept.read(handler, request);
  const known = question && kept.find(handler, question);
  if (known !== undefined) {
    if (sendNotModified(request, response, { status: 200, header: known.header })) return;
    response.setHeaders(known.header).end(known.body);
    return;
  }
  const body = question && request.method !== "GET" ? { body: createAsyncIterable([question.body]) } : {};
  let result = await handler({ ...universalRequest, ...body });
  const lifetimeMs = universalRequest.contextValues.get(responseLifetime);
  if (question !== undefined && lifetimeMs !== undefined) {
    result = await kept.keep(question, result, lifetimeMs);
  }
  if (sendNotModified(request, response, result)) return;
  if (result.status === 415) {
    const seen = show(request.headers["content-type"] ?? "");
    const wanted = "expected application/json, application/proto or application/grpc-web+proto";
    sendCode(response, 415, Code.InvalidArgument, `content-type: ${seen}, ${wanted}`);
    return;
  }
  await universalResponseToNodeResponse(await withDetails(result), response);
}

function addressesOf({ rpc, rest, plain }: GatewayHandlers): string[] {
  return [...rest.paths, ...plain.keys(), ...rpc.keys(), "/livez", "/readyz", "/metrics"];
}

/** A filter of 100 devices with the longest names fits. */
const urlBytesMax = 32 * 1024;
const headerBytesMax = 48 * 1024;
/** Beyond this, new connections are closed at once. */
const connectionsMax = 4096;
const json = { "content-type": "application/json" };
