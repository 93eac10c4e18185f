import { createServer, type ServerHttp2Session } from "node:http2";
import { service as healthService } from "grpc-health-check";
import { limits } from "#batch/limits.ts";
import { listen } from "#lib/admin-server.ts";
import { createHostCheck, type HostCheck } from "#lib/allowed-hosts.ts";
import { keepAlive } from "#lib/keep-alive.ts";
import type { StartRpc } from "#lib/rpc-metrics.ts";
import type { Health } from "../health/health.ts";
import { takeDirectly } from "./direct-calls.ts";
import { healthHandlers } from "./health-service.ts";
import type { IngestParts } from "./ingest-calls.ts";
import { ingestHandlers, ingestService } from "./ingest-service.ts";
import { KnowingServer, refuse, refuseUnknown } from "./known-methods.ts";
import { observeCalls } from "./observe-calls.ts";
import { createReflection } from "./reflection.ts";
import { Tunnel } from "./tunnel.ts";

/** A message beyond this is not read, packed or not, and its call ends. */
const messageBytesMax = limits.requestBytesMax;

/** Of what grpc-js serves: names of sessions, health, reflection. It unpacks as many at once as it is sent. */
const innerMessageBytesMax = 64 * 1024;

/**
 * What a device may send that the server has not read yet, on one stream and on one connection: so much is held for it
 * while it has to wait. With HTTP/2's 64 KiB a stream of large batches waits for the window more than for the server.
 */
const windowBytes = { stream: 128 << 10, connection: 1 << 20 } as const;

export interface GrpcFace {
  /** Returns the real address. */
  listen(address: { host: string; port: number }): Promise<{ host: string; port: number }>;
  /** GOAWAY, then waits for the calls under way. */
  close(): Promise<void>;
  /** Ends what is still open. */
  destroy(): void;
}

/**
 * gRPC on node:http2. What devices call all day is served directly; health, reflection, GetSession and whatever is out
 * of the ordinary by grpc-js behind it (docs/decisions/0009-the-usual-calls-on-node-http2.md).
 */
export function createGrpcFace(
  parts: IngestParts & {
    readonly health: Health;
    readonly startRpc: StartRpc;
    readonly checkHost?: HostCheck;
  },
): GrpcFace {
  const inner = new KnowingServer({
    "grpc.max_receive_message_length": innerMessageBytesMax,
    "grpc.enable_channelz": 0,
    interceptors: [observeCalls(parts.startRpc)],
  });
  inner.addService(ingestService, ingestHandlers(parts));
  inner.addService(healthService, healthHandlers(parts.health));
  createReflection().addToServer(inner);
  const tunnel = new Tunnel(inner);

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
  const checkHost = parts.checkHost ?? createHostCheck([]);
  server.on("stream", (stream, headers, _flags, rawHeaders) => {
    const misdirected = checkHost({ rawHeaders });
    if (misdirected !== undefined) return refuse(stream, headers, misdirected);
    if (takeDirectly(stream, headers, { ...parts, messageBytesMax })) return;
    if (!refuseUnknown(stream, headers, inner)) tunnel.pass(stream, headers);
  });
  return {
    listen: (address) => listen(server, address),
    close: () =>
      new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve()))),
    destroy() {
      for (const session of sessions) session.destroy();
      inner.forceShutdown();
    },
  };
}
