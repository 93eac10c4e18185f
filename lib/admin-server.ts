import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Server as NetServer } from "node:net";
import { createHostCheck, type HostCheck } from "./allowed-hosts.ts";
import type { Registry } from "./metrics.ts";
import type { Readiness } from "./readiness.ts";

/**
 * Serves the endpoints for operators and probes of every program: `/livez` 200 while the process runs, `/readyz` 200 or
 * 503 with one reason or note per line, `/metrics` for Prometheus. Ignores any other path and returns false.
 */
export function createAdminHandler(readiness: Readiness, registry: Registry) {
  return (...[request, response]: Parameters<RequestListener>): boolean => {
    const path = (request.url ?? "/").split("?", 1)[0];
    if (path === "/livez") {
      response.writeHead(200, plainText).end("ok\n");
    } else if (path === "/readyz") {
      const lines = readiness.isReady ? ["ready"] : readiness.reasons;
      response
        .writeHead(readiness.isReady ? 200 : 503, plainText)
        .end(`${[...lines, ...readiness.notes].join("\n")}\n`);
    } else if (path === "/metrics") {
      registry.metrics().then(
        (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500, plainText).end(`metrics: ${String(error)}\n`),
      );
    } else {
      return false;
    }
    return true;
  };
}

/** The admin handler on a port of its own. */
export function createAdminServer(
  readiness: Readiness,
  registry: Registry,
  checkHost: HostCheck = createHostCheck([]),
): Server {
  const handle = createAdminHandler(readiness, registry);
  return createServer((request, response) => {
    const problem = checkHost(request);
    if (problem !== undefined) sendError(response, 421, "permission_denied", problem);
    else if (!handle(request, response)) sendError(response, 404, "not_found", knownPaths);
  });
}

/** In the JSON of all errors here. */
function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ code, message, details: [] }));
}

/** Listens and returns the actual address; port 0 selects a free port. */
export async function listen(
  server: Pick<NetServer, "listen" | "once" | "off" | "address">,
  { host, port }: { host: string; port: number },
): Promise<{ host: string; port: number }> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return { host, port: (server.address() as AddressInfo).port };
}

const plainText = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
const knownPaths = "not found: use /livez, /readyz or /metrics";
