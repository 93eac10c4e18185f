import { type ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { RpcType, StartRpc } from "#rpc/call-metrics.ts";
import { refusalStatus } from "./status.ts";

/**
 * Sees the status of every call at the one place where grpc-js sends it, also where grpc-js itself refuses a message
 * before any handler, which an interceptor's own `sendStatus` would not see. Counts it, and corrects what grpc-js says
 * of bytes it cannot read: they are the sender's mistake, and INTERNAL would blame us, RESOURCE_EXHAUSTED make devices
 * send them again forever.
 */
export function observeCalls(startRpc: StartRpc): ServerInterceptor {
  return (method, call) => {
    const [, service = "", name = ""] = method.path.split("/");
    const end = startRpc(rpcType(method.requestStream, method.responseStream), service, name);
    const send = call.sendStatus.bind(call);
    let hasEnded = false;
    call.sendStatus = (ended) => {
      hasEnded = true;
      const sent = isClientError(ended.code, ended.details) ? clientErrorStatus(ended.details ?? "") : ended;
      end(status[sent.code ?? status.UNKNOWN] ?? "UNKNOWN");
      send(sent);
    };
    // An answer that is ready only now would be written behind the status, and with it the status would never leave.
    const sendMessage = call.sendMessage.bind(call);
    call.sendMessage = (message, callback) => {
      if (hasEnded) callback();
      else sendMessage(message, callback);
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

function isClientError(code: status | undefined, details = ""): boolean {
  if (code === status.RESOURCE_EXHAUSTED) return details.includes("larger than");
  return code === status.INTERNAL && unreadable.test(details);
}

/** The words of grpc-js: health and reflection decode what they are sent. */
const unreadable = /^Error deserializing request/;

function clientErrorStatus(details: string) {
  return refusalStatus({
    code: BatchErrorCode.INVALID_ARGUMENT,
    field: "request",
    message: details,
    retryDelayMs: 0,
  });
}

function rpcType(requestStream: boolean, responseStream: boolean): RpcType {
  if (requestStream) return responseStream ? "bidi_stream" : "client_stream";
  return responseStream ? "server_stream" : "unary";
}
