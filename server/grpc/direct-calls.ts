import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { status } from "@grpc/grpc-js";
import type { StartRpc } from "#lib/rpc-metrics.ts";
import { DirectCall } from "./direct-call.ts";
import { type IngestParts, pushLogsHandler, streamLogsHandler } from "./ingest-calls.ts";

export interface DirectParts extends IngestParts {
  readonly startRpc: StartRpc;
  /** A longer message is refused. */
  readonly messageBytesMax: number;
}

const service = "fleetlog.v1.IngestService";

const methods = new Map([
  [`/${service}/PushLogs`, { name: "PushLogs", type: "unary", handler: pushLogsHandler }],
  [`/${service}/StreamLogs`, { name: "StreamLogs", type: "bidi_stream", handler: streamLogsHandler }],
] as const);

/**
 * Serves the two calls that devices make all day, as nearly all of them make them: with headers that mean what they say. Returns false, and has done nothing, for every other call.
 */
export function takeDirectly(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  parts: DirectParts,
): boolean {
  const method = methods.get(headers[":path"] as `/${typeof service}/PushLogs`);
  if (method === undefined || headers[":method"] !== "POST") return false;
  const { "content-type": contentType = "", "grpc-encoding": encoding = "identity" } = headers;
  if (contentType !== "application/grpc" && contentType !== "application/grpc+proto") return false;
  if (encoding !== "identity" && encoding !== "gzip") {
    refuseEncoding(stream, String(encoding));
    return true;
  }
  const timeout = headers["grpc-timeout"];
  const timeoutMs = timeout === undefined ? undefined : readTimeoutMs(String(timeout));
  if (timeoutMs !== undefined && Number.isNaN(timeoutMs)) return false;
  const call = new DirectCall(stream, {
    messageBytesMax: parts.messageBytesMax,
    timeoutMs,
    unpack:
      encoding === "gzip" ? (packed) => parts.unpacker.unpack(packed, parts.messageBytesMax) : undefined,
    onStatus: parts.startRpc(method.type, service, method.name),
  });
  call.serve(method.handler(parts, call));
  return true;
}

/** https://github.com/grpc/grpc/blob/master/doc/compression.md */
function refuseEncoding(stream: ServerHttp2Stream, encoding: string): void {
  stream.on("error", () => {}); // nothing more is said on it
  stream.respond(
    {
      ":status": 200,
      "content-type": "application/grpc+proto",
      "grpc-accept-encoding": "identity,gzip",
      "grpc-status": status.UNIMPLEMENTED,
      "grpc-message": encodeURI(
        `grpc-encoding ${encoding.toWellFormed()} is not taken here: gzip or identity`,
      ),
    },
    { endStream: true },
  );
  stream.resume();
}

/** https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: digits and a unit. NaN: it is something else. */
function readTimeoutMs(timeout: string): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(timeout) ?? [];
  if (digits === undefined) return Number.NaN;
  const ms = Number(digits) * (unitMs[unit] as number);
  return ms < timerMsMax ? Math.ceil(ms) : undefined;
}

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Node's timers go no further; no stream grows so old. */
const timerMsMax = 2 ** 31;
