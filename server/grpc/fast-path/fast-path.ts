import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { status } from "@grpc/grpc-js";
import type { StartRpc } from "#rpc/call-metrics.ts";
import { readTimeoutMs } from "../call-timeout.ts";
import {
  type CallHandler,
  type IngestCall,
  type IngestDependencies,
  ok,
  pushLogs,
  streamLogsHandler,
} from "../ingest-calls.ts";
import { messageBytesMax } from "../message.ts";
import { refusalStatus } from "../status.ts";
import { FastCall } from "./fast-call.ts";

const service = "fleetlog.v1.IngestService";

const methods = new Map<string, { name: string; type: "unary" | "bidi_stream"; handler: StartHandler }>([
  [`/${service}/PushLogs`, { name: "PushLogs", type: "unary", handler: pushLogsHandler }],
  [`/${service}/StreamLogs`, { name: "StreamLogs", type: "bidi_stream", handler: streamLogsHandler }],
]);

type StartHandler = (parts: IngestDependencies, call: IngestCall) => CallHandler;

/**
 * Serves the two calls that devices make all day with less work than grpc-js does: no object streams, no promise for
 * each message, acks of one turn of the event loop in one write. The function returns false, and has done nothing, for
 * every other call.
 */
export function createFastPath(
  parts: IngestDependencies & { readonly startRpc: StartRpc },
): (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean {
  const unpack = (packed: Buffer) => parts.decompressor.decompress(packed, messageBytesMax);
  return (stream, headers) => {
    const method = methods.get(headers[":path"] ?? "");
    if (method === undefined) return false;
    const call = new FastCall(stream, {
      messageBytesMax,
      timeoutMs: readTimeoutMs(headers),
      unpack: headers["grpc-encoding"] === "gzip" ? unpack : undefined,
      onStatus: parts.startRpc(method.type, service, method.name),
    });
    call.serve(method.handler(parts, call));
    return true;
  };
}

/** Answers one call of PushLogs. */
function pushLogsHandler(parts: IngestDependencies, call: IngestCall): CallHandler {
  let request: Buffer | undefined;
  const answer = async (request: Buffer) => {
    const response = await pushLogs(parts, request);
    if ("code" in response) return call.finish(response);
    call.finish(ok, response);
  };
  const unimplemented = (details: string) => call.finish({ code: status.UNIMPLEMENTED, details });
  return {
    wantsMore: true,
    message(message) {
      if (request !== undefined) unimplemented("Received a second request message for a unary method");
      request = message;
    },
    complete() {
      if (request === undefined) unimplemented("Received no request message for a unary method");
      else void answer(request);
    },
    unreadable: (refusal) => call.finish(refusalStatus(refusal)),
    closed() {},
  };
}
