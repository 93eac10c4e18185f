import { type ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import type { RpcType, StartRpc } from "../rpc-metrics.ts";
import { invalidArgument } from "../verdict.ts";
import { refusalStatus } from "./status.ts";

/**
 * Sees the status of every call at the one place where grpc-js sends it, also where grpc-js itself refuses a message
 * before any handler, which an interceptor's own `sendStatus` would not see. Counts it, and corrects one: a message
 * over the absolute limit is the sender's mistake, and RESOURCE_EXHAUSTED would make devices send it again for ever.
 */
export function observeCalls(startRpc: StartRpc): ServerInterceptor {
  return (method, call) => {
    const [, service = "", name = ""] = method.path.split("/");
    const end = startRpc(rpcType(method.requestStream, method.responseStream), service, name);
    const send = call.sendStatus.bind(call);
    call.sendStatus = (ended) => {
      const tooLarge = ended.code === status.RESOURCE_EXHAUSTED && /larger than/.test(ended.details ?? "");
      const sent = tooLarge ? tooLargeStatus(ended.details ?? "") : ended;
      end(status[sent.code ?? status.UNKNOWN] ?? "UNKNOWN");
      send(sent);
    };
    const start = call.start.bind(call);
    call.start = (listener) => {
      start({
        onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
        onReceiveMessage: (message) => listener.onReceiveMessage(message),
        onReceiveHalfClose: () => listener.onReceiveHalfClose(),
        onCancel: () => {
          end("CANCELLED"); // unless it has ended with a status before
          listener.onCancel();
        },
      });
    };
    return call as ServerInterceptingCall; // the innermost call has all of its methods
  };
}

function tooLargeStatus(details: string) {
  return refusalStatus({ code: invalidArgument, field: "request", message: details, retryDelayMs: 0 });
}

function rpcType(requestStream: boolean, responseStream: boolean): RpcType {
  if (requestStream) return responseStream ? "bidi_stream" : "client_stream";
  return responseStream ? "server_stream" : "unary";
}
