import { createServer, type ServerHttp2Session } from "node:http2";
import { service as healthService } from "grpc-health-check";
import { listen } from "#lib/admin-server.ts";
import { createHostCheck } from "#lib/allowed-hosts.ts";
import { type Admit, createAdmission } from "#rpc/admission.ts";
import type { StartRpc } from "#rpc/call-metrics.ts";
import { keepAlive } from "#rpc/keep-alive.ts";
import type { RequestBudget } from "../connect/request-budget.ts";
import type { Health } from "../health/health.ts";
import { reflectionServices } from "../reflection.ts";
import { readTimeoutMs, rejectMalformedTimeout } from "./call-timeout.ts";
import { createFastPath, type FastMethod, ingestMethods } from "./fast-path/fast-path.ts";
import { healthHandlers } from "./health-service.ts";
import type { IngestDependencies } from "./ingest-calls.ts";
import { ingestHandlers, ingestService } from "./ingest-service.ts";
import { messageBytesMax } from "./message.ts";
import { MethodRegistry } from "./method-registry.ts";
import { observeCalls } from "./observe-calls.ts";
import { readMessages } from "./read-messages.ts";
import { defineReflection, reflectionHandlers } from "./reflection.ts";
import { rejectCall, rejectUnknownEncoding, rejectUnknownMethod } from "./reject-call.ts";

/**
 * What a device may send that the server has not read yet, on one stream and on one connection: so much is held for it
 * while it has to wait. With HTTP/2's 64 KiB a stream of large batches waits for the window more than for the server.
 */
const windowBytes = { stream: 128 << 10, connection: 1 << 20 } as const;

export interface GrpcServer {
  /** Returns the real address. */
  listen(address: { host: string; port: number }): Promise<{ host: string; port: number }>;
  /** GOAWAY, then waits for the calls in flight. */
  close(): Promise<void>;
  /** Ends what is still open. */
  destroy(): void;
}

export interface GrpcServerOptions extends IngestDependencies {
  readonly health: Health;
  readonly startRpc: StartRpc;
  readonly admit?: Admit;
  /** Serves PushLogs and StreamLogs on node:http2 instead of grpc-js: docs/decisions/0030-grpc-fast-path.md. */
  readonly fastPath: boolean;
  /** Of unary calls that are being read. */
  readonly requestBudget: RequestBudget;
  /** Methods of other services, which are always served on node:http2. */
  readonly fastMethods?: readonly FastMethod[];
}

/**
 * gRPC: a listener on node:http2, which rejects what is of no method here, and @grpc/grpc-js, which serves the methods,
 * all of them or all but those of the fast path.
 */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { admit = createAdmission(createHostCheck([])), startRpc, decompressor: unpacker } = options;
  const methods = new MethodRegistry({
    "grpc.max_receive_message_length": messageBytesMax,
    interceptors: [observeCalls(startRpc), readMessages(unpacker)],
  });
  methods.add(ingestService, ingestHandlers(options));
  methods.add(healthService, healthHandlers(options.health));
  for (const service of reflectionServices) methods.add(defineReflection(service), reflectionHandlers);
  const { fastMethods = [], requestBudget } = options;
  const fast = createFastPath(
    options.fastPath ? [...ingestMethods(options, requestBudget), ...fastMethods] : fastMethods,
    options,
  );
  const known = { has: (path: string | undefined) => fast.has(path) || methods.has(path) };

  const server = createServer({
    settings: { maxConcurrentStreams: 1_024, initialWindowSize: windowBytes.stream },
  });
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    session.setLocalWindowSize(windowBytes.connection);
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    keepAlive(session);
  });
  server.on("stream", (stream, headers, _flags, rawHeaders) => {
    stream.on("error", () => {}); // the close that follows reports it
    if (stream.destroyed || stream.closed) return; // cancelled in the same breath as it was made
    const caller = admit({ rawHeaders, headers, socket: stream.session?.socket });
    const error =
      ("error" in caller ? caller : undefined) ??
      rejectUnknownMethod(headers, known) ??
      rejectUnknownEncoding(headers) ??
      rejectMalformedTimeout(headers);
    if (error !== undefined) return rejectCall(stream, headers, error);
    if (fast.serve(stream, headers)) return;
    const timeoutMs = readTimeoutMs(headers);
    const { bodyMsMax } = requestBudget;
    // grpc-js has no deadline of its own for a request that does not arrive.
    if (methods.isUnary(headers[":path"]) && !(timeoutMs !== undefined && timeoutMs <= bodyMsMax))
      headers["grpc-timeout"] = `${bodyMsMax}m`;
    // It keeps ms in 32 bits: a longer timeout would be over at once.
    else if (timeoutMs === undefined) delete headers["grpc-timeout"];
    methods.serve(stream, headers);
  });
  return {
    listen: (address) => listen(server, address),
    close: () =>
      new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve()))),
    destroy() {
      for (const session of sessions) session.destroy();
    },
  };
}
