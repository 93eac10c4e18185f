import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { StartRpc } from "./call-metrics.ts";
import { observeStream } from "./observe-stream.ts";

/** Counts the calls that reach a handler, under the same names as on gRPC. */
export function observeCalls(startRpc: StartRpc): Interceptor {
  return (next) => async (request) => {
    const type = request.stream ? "bidi_stream" : "unary";
    const end = startRpc(type, request.service.typeName, request.method.name);
    const failed = (error: unknown) => {
      end(codeToString(ConnectError.from(error).code));
      return error;
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
}
