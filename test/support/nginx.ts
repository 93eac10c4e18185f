import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onFreePort } from "#dev/free-port.ts";
import { startNginx as start } from "#dev/nginx.ts";
import type { NginxSettings } from "#nginx/render.ts";

export interface TestNginx {
  /** host:port of the HTTP/1.1 listener. */
  readonly http: string;
  /** host:port of the gRPC listener. */
  readonly grpc: string;
  /** host:port of the listener with TLS, if there is one. */
  readonly tls: string | undefined;
  readonly pid: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A real Nginx on free ports before the given servers and gateways, with the project's own template. */
export async function startNginx(
  settings: Pick<NginxSettings, "servers" | "gateways"> & Partial<NginxSettings>,
): Promise<TestNginx> {
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-nginx-"));
  const { http, grpc, tls, pid, child } = await onFreePort((httpPort) =>
    onFreePort((grpcPort) =>
      start(folder, {
        httpListen: `127.0.0.1:${httpPort}`,
        grpcListen: `127.0.0.1:${grpcPort}`,
        workerProcesses: 2,
        workerConnections: 512,
        shutdownSeconds: 1,
        ...settings,
      }),
    ),
  );
  return {
    http,
    grpc,
    tls,
    pid,
    [Symbol.asyncDispose]: async () => {
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
