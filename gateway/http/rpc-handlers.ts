import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  Code,
  type ConnectError,
  type ConnectRouter,
  createConnectRouter,
  createContextValues,
  type Interceptor,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { Logger } from "#lib/logger.ts";
import type { RpcType, StartRpc } from "#rpc/call-metrics.ts";
import { observeStream } from "#rpc/observe-stream.ts";
import { jsonOptions } from "../json-options.ts";
import { toConnectError } from "../query/error-mapping.ts";
import { inspectRequest, requestFault } from "./request-fault.ts";

/** The handlers of all RPCs by their path, such as "/fleetlog.v1.QueryService/ListLogs". */
export type RpcHandlers = ReadonlyMap<string, UniversalHandler>;

export interface RpcOptions {
  readonly startRpc: StartRpc;
  readonly cache: Interceptor;
  readonly logger: Logger;
}

/**
 * The RPCs as gRPC, Connect and gRPC-Web speak them, by POST and, where nothing changes, by GET. Here is the one edge where
 * errors are mapped, counted and, if they are ours, logged; the REST transport passes through it too.
 */
export function createRpcHandlers(
  routes: (router: ConnectRouter) => void,
  { startRpc, cache, logger }: RpcOptions,
): RpcHandlers {
  const told = (error: unknown): ConnectError => {
    const mapped = toConnectError(error);
    // The cause is what the caller must not see and we must, but for why it left.
    if (mapped.cause !== undefined && !left.has(mapped.code)) {
      logger[mapped.code === Code.Internal ? "error" : "warn"]({ err: mapped.cause }, mapped.rawMessage);
    }
    return mapped;
  };
  const start = ({ methodKind, parent, name }: DescMethod) =>
    startRpc(rpcTypes[methodKind], parent.typeName, name);
  const edge: Interceptor = (next) => async (request) => {
    const end = start(request.method);
    const failed = (error: unknown) => {
      const mapped = told(error);
      end(codeToString(mapped.code));
      return mapped;
    };
    try {
      const response = await next(request);
      if (response.stream) return { ...response, message: observeStream(response.message, end, failed) };
      end("OK");
      return response;
    } catch (error) {
      throw failed(error);
    }
  };
  const router = createConnectRouter({
    interceptors: [edge, cache],
    jsonOptions,
    readMaxBytes: requestBytesMax,
    acceptCompression: [compressionGzip, compressionBrotli],
    requestGate: ({ values, method }) => {
      const fault = values.get(requestFault);
      if (fault === undefined) return;
      const mapped = told(fault);
      start(method)(codeToString(mapped.code));
      throw mapped;
    },
  });
  routes(router);
  return new Map(router.handlers.map((handler) => [handler.requestPath, inspected(handler)]));
}

/** The path of an RPC, as Connect and gRPC have it. */
export function rpcPath(service: DescService, methodName: string): string {
  return `/${service.typeName}/${methodName}`;
}

function inspected(handler: UniversalHandler): UniversalHandler {
  const handle = async (original: Parameters<UniversalHandler>[0]) => {
    const contextValues = original.contextValues ?? createContextValues();
    const { request, fault } = await inspectRequest(original, handler.method.input, requestBytesMax);
    if (fault !== undefined) contextValues.set(requestFault, fault);
    return await handler({ ...request, contextValues });
  };
  return Object.assign(handle, handler);
}

const left: ReadonlySet<Code> = new Set([Code.Canceled, Code.Aborted]);

const rpcTypes: Readonly<Record<DescMethod["methodKind"], RpcType>> = {
  unary: "unary",
  server_streaming: "server_stream",
  client_streaming: "client_stream",
  bidi_streaming: "bidi_stream",
};

/** The largest sensible query is a page token and a text. */
export const requestBytesMax = 64 * 1024;
