import { Server, ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { limits } from "#batch/limits.ts";
import type { StartRpc } from "../rpc-metrics.ts";
import { type IngestParts, ingestHandlers, ingestService } from "./ingest-service.ts";
import { observeCalls } from "./observe-calls.ts";
import { createReflection } from "./reflection.ts";

/** A message beyond this is not read, and its call ends. Up to here too large a batch is answered by name. */
const messageBytesMax = 4 * limits.batchBytesMax;

export interface GrpcFace {
  /** Returns the real address. */
  listen(address: { host: string; port: number }): Promise<{ host: string; port: number }>;
  setServing(serving: boolean): void;
  /** GOAWAY, then waits for the calls under way. */
  close(): Promise<void>;
  /** Ends what is still open. */
  destroy(): void;
}

/** gRPC: ingest with its batches left as bytes, health, reflection. */
export function createGrpcFace(parts: IngestParts & { readonly startRpc: StartRpc }): GrpcFace {
  const server = new Server({
    "grpc.max_receive_message_length": messageBytesMax,
    "grpc.max_concurrent_streams": 1_024,
    "grpc.enable_channelz": 0,
    // Finds connections whose other end is gone without a word; Nginx and clients answer these pings.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    interceptors: [observeCalls(parts.startRpc)],
  });
  const health = new HealthImplementation({ "": "NOT_SERVING", "fleetlog.v1.IngestService": "NOT_SERVING" });
  server.addService(ingestService, ingestHandlers(parts));
  health.addToServer(server);
  createReflection().addToServer(server);
  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        const name = `${host.includes(":") ? `[${host}]` : host}:${port}`;
        server.bindAsync(name, ServerCredentials.createInsecure(), (error, bound) => {
          if (error) reject(error);
          else resolve({ host, port: bound });
        });
      }),
    setServing(serving) {
      for (const name of ["", "fleetlog.v1.IngestService"]) {
        health.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
      }
    },
    close: () =>
      new Promise((resolve, reject) => {
        server.tryShutdown((error) => {
          if (error) reject(error);
          else resolve();
        });
      }),
    destroy: () => server.forceShutdown(),
  };
}
