import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { StartRpc } from "#lib/rpc-metrics.ts";

/** Counts the calls that reach a handler, under the same names as on gRPC. */
export function observeCalls(startRpc: StartRpc): Interceptor {
  return (next) => async (request) => {
    const type = request.stream ? "bidi_stream" : "unary";
    const end = startRpc(type, request.service.typeName, request.method.name);
    try {
      const response = await next(request);
      if (!response.stream) end("OK");
      else return { ...response, message: observe(response.message, end) };
      return response;
    } catch (error) {
      end(codeToString(ConnectError.from(error).code));
      throw error;
    }
  };
}

async function* observe<Message>(messages: AsyncIterable<Message>, end: (code: string) => void) {
  try {
    yield* messages;
    end("OK");
  } catch (error) {
    end(codeToString(ConnectError.from(error).code));
    throw error;
  } finally {
    end("CANCELLED"); // unless it has ended before
  }
}
