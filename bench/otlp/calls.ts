import { type ClientHttp2Session, connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { FrameReader, frame, frameHeaderBytes } from "#bench/path/grpc-frame.ts";

/** A request as it is sent, again and again. */
export interface Call {
  readonly path: string;
  readonly contentType: string;
  readonly isGzip?: boolean;
  readonly body: Buffer;
}

const exportPath = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

export function pushCall(batch: Buffer): Call {
  return { path: "/fleetlog.v1.IngestService/PushLogs", contentType: "application/grpc", body: frame(batch) };
}

export function exportCall(request: Buffer): Call {
  const header = Buffer.alloc(frameHeaderBytes);
  header.writeUInt32BE(request.length, 1);
  return { path: exportPath, contentType: "application/grpc", body: Buffer.concat([header, request]) };
}

export function httpCall(request: Buffer | string, isGzip = false): Call {
  const isJson = typeof request === "string";
  return {
    path: "/v1/logs",
    contentType: isJson ? "application/json" : "application/x-protobuf",
    isGzip,
    body: isGzip ? gzipSync(request) : Buffer.from(request),
  };
}

/** Sends the calls, `atOnce` at a time; throws unless each succeeds. */
export async function sendAll(address: string, calls: Iterable<Call>, atOnce = 16): Promise<void> {
  const session = connect(`http://${address}`, { settings: { initialWindowSize: 1 << 20 } });
  const waiting = calls[Symbol.iterator]();
  const worker = async () => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) await sendOne(session, next.value);
  };
  try {
    await Promise.all(Array.from({ length: atOnce }, worker));
  } finally {
    session.close();
  }
}

/** Sends the messages on one StreamLogs call, 32 in flight, until each is acknowledged. */
export function sendStream(address: string, calls: readonly Call[]): Promise<void> {
  const session = connect(`http://${address}`, { settings: { initialWindowSize: 1 << 20 } });
  return new Promise((resolve, reject) => {
    const path = "/fleetlog.v1.IngestService/StreamLogs";
    const call = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    let sent = 0;
    let acknowledged = 0;
    const send = () => {
      while (sent < calls.length && sent - acknowledged < 32) call.write(calls[sent++]!.body);
      if (sent === calls.length) call.end();
    };
    const reader = new FrameReader((message) => {
      if (message.length === 0) return; // a heartbeat
      acknowledged += 1;
      if (sent < calls.length) send();
    });
    call.on("data", (piece: Buffer) => reader.push(piece));
    call.on("error", reject);
    call.on("close", () => {
      session.close();
      if (acknowledged === calls.length) resolve();
      else reject(new Error(`${acknowledged} of ${calls.length} batches were acknowledged`));
    });
    send();
  });
}

function sendOne(session: ClientHttp2Session, { path, contentType, isGzip, body }: Call): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": contentType,
      te: "trailers",
      ...(isGzip && { "content-encoding": "gzip" }),
    });
    let status: unknown;
    let grpcStatus: unknown = 0;
    call.on("response", (headers) => {
      status = headers[":status"];
      grpcStatus = headers["grpc-status"] ?? grpcStatus;
    });
    call.on("trailers", (trailers) => (grpcStatus = trailers["grpc-status"] ?? grpcStatus));
    call.on("error", reject);
    call.on("close", () =>
      status === 200 && Number(grpcStatus) === 0
        ? resolve()
        : reject(new Error(`${path}: status ${String(status)}, grpc-status ${String(grpcStatus)}`)),
    );
    call.resume();
    call.end(body);
  });
}
