import type { DescMethod } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ConnectRouterOptions,
  createConnectRouter,
  createContextKey,
  type Interceptor,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Logger } from "#lib/logger.ts";
import type { RpcType, StartRpc } from "./call-metrics.ts";
import { asInvalidArgument, mapClientErrors } from "./map-client-errors.ts";
import { observeStream } from "./observe-stream.ts";

export interface HandlerOptions extends Omit<ConnectRouterOptions, "requestGate"> {
  readonly startRpc: StartRpc;
  readonly logger: Logger;
  /** The program's one mapping of errors. Its result has a cause where the log is to have one. */
  readonly toError?: (error: unknown) => ConnectError;
}

/** An error of a call that is known before Connect reads the request: the call ends with it, in its own protocol. */
export const earlyError = createContextKey<unknown>(undefined);

/** The handlers of `routes`: every error that leaves them is mapped, counted and, if it is ours, logged here. */
export function createHandlers(
  routes: (router: ConnectRouter) => void,
  { startRpc, logger, toError = toConnectError, interceptors = [], ...options }: HandlerOptions,
): readonly UniversalHandler[] {
  const start = ({ methodKind, parent, name }: DescMethod) =>
    startRpc(rpcTypes[methodKind], parent.typeName, name);
  const mapError = (error: unknown): ConnectError => {
    const reason = toError(error);
    const mapped = asInvalidArgument(reason.code, reason.rawMessage) ?? reason;
    if (mapped.cause !== undefined && !callersOwn.has(mapped.code)) {
      logger[mapped.code === Code.Internal ? "error" : "warn"]({ err: mapped.cause }, mapped.rawMessage);
    }
    return mapped;
  };
  const edge: Interceptor = (next) => async (request) => {
    const end = start(request.method);
    const failed = (error: unknown) => {
      const mapped = mapError(error);
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
    ...options,
    interceptors: [edge, ...interceptors],
    requestGate: ({ values, method }) => {
      const error = values.get(earlyError);
      if (error === undefined) return;
      const mapped = mapError(error);
      start(method)(codeToString(mapped.code));
      throw mapped;
    },
  });
  routes(router);
  return router.handlers.map(mapClientErrors);
}

/** What is not an error of the call is our bug: INTERNAL, without its words. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (isDisconnect(error)) return new ConnectError("the client disconnected", Code.Canceled);
  return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}

/** What an aborted signal, and a read of a request whose client left, throw. */
function isDisconnect(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { name, code }: NodeJS.ErrnoException = error;
  return name === "AbortError" || disconnectCodes.has(code ?? "");
}

const disconnectCodes: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "EPIPE",
  "ERR_HTTP2_INVALID_STREAM",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_PREMATURE_CLOSE",
]);

/** The caller left, or the error is its own: nothing for the log. */
const callersOwn: ReadonlySet<Code> = new Set([Code.Canceled, Code.Aborted, Code.InvalidArgument]);

const rpcTypes: Readonly<Record<DescMethod["methodKind"], RpcType>> = {
  unary: "unary",
  server_streaming: "server_stream",
  client_streaming: "client_stream",
  bidi_streaming: "bidi_stream",
};
