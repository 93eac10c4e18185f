import type { DescService } from "@bufbuild/protobuf";
import { type ConnectRouter, createContextValues, type Interceptor } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { Logger } from "#lib/logger.ts";
import type { StartRpc } from "#rpc/call-metrics.ts";
import { createHandlers, earlyError } from "#rpc/create-handlers.ts";
import { toConnectError } from "../query/error-mapping.ts";
import { jsonOptions } from "../rpc/json-options.ts";
import { inspectRequest } from "./request-fault.ts";

/** The handlers of all RPCs by their path, such as "/fleetlog.v1.QueryService/ListLogs". */
export type RpcHandlers = ReadonlyMap<string, UniversalHandler>;

export interface RpcOptions {
  readonly startRpc: StartRpc;
  readonly cache: Interceptor;
  readonly logger: Logger;
}

/**
 * The RPCs as gRPC, Connect and gRPC-Web speak them, by POST and, where nothing changes, by GET. The REST transport
 * passes through them too.
 */
export function createRpcHandlers(
  routes: (router: ConnectRouter) => void,
  { startRpc, cache, logger }: RpcOptions,
): RpcHandlers {
  const handlers = createHandlers(routes, {
    startRpc,
    logger,
    toError: toConnectError,
    interceptors: [cache],
    jsonOptions,
    readMaxBytes: requestBytesMax,
    acceptCompression: [compressionGzip, compressionBrotli],
  });
  return new Map(handlers.map((handler) => [handler.requestPath, inspected(handler)]));
}

/** The path of an RPC, as Connect and gRPC have it. */
export function rpcPath(service: DescService, methodName: string): string {
  return `/${service.typeName}/${methodName}`;
}

function inspected(handler: UniversalHandler): UniversalHandler {
  const handle = async (original: Parameters<UniversalHandler>[0]) => {
    const contextValues = original.contextValues ?? createContextValues();
    const asGet = original.method === "HEAD" ? { ...original, method: "GET" } : original;
    const { request, fault } = await inspectRequest(asGet, handler.method.input, requestBytesMax);
    if (fault !== undefined) contextValues.set(earlyError, fault);
    return await handler({ ...request, contextValues });
  };
  return Object.assign(handle, handler, { allowedMethods: allowedMethods(handler) });
}

/** Connect names GET also for streams, which it then refuses as malformed; HEAD is read as GET. */
function allowedMethods({ method, allowedMethods }: UniversalHandler): readonly string[] {
  if (method.methodKind !== "unary") return ["POST"];
  return allowedMethods.includes("GET") ? [...allowedMethods, "HEAD"] : allowedMethods;
}

/** The largest sensible query is a page token and a text. */
export const requestBytesMax = 64 * 1024;
