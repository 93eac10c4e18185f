import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { HostCheck } from "#lib/allowed-hosts.ts";
import type { Logger } from "#lib/logger.ts";
import { refuseRequest } from "#lib/refuse-request.ts";
import type { IngestRoutes } from "./ingest-routes.ts";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

interface Routes extends IngestRoutes {
  /** Those that read every encoding. */
  readonly services: ReadonlyMap<string, UniversalHandler>;
}

/**
 * Answers Connect and gRPC-Web over HTTP/1.1 and HTTP/2. Like connect-node's own adapter, but it chooses the handlers
 * by the encoding, and survives an :authority that is no host (connect-node builds a URL of it, which throws).
 */
export function createRequestListener(routes: Routes, checkHost: HostCheck, logger: Logger) {
  return (request: Request, response: Response): void => {
    const misdirected = checkHost(request);
    if (misdirected !== undefined) {
      refuseRequest(request, response, misdirected);
      return;
    }
    const [path = "", query] = (request.url ?? "").split("?", 2);
    // A GET, for calls without side effects, has no content type and names its encoding in the query.
    const encoding =
      request.method === "GET"
        ? `/${new URLSearchParams(query).get("encoding")}`
        : (request.headers["content-type"] ?? "");
    const isJson = /[/+]json\b/.test(encoding);
    const handler = (isJson ? routes.json : routes.binary).get(path) ?? routes.services.get(path);
    if (handler === undefined) {
      refuse(response, 404, new ConnectError(`unknown path ${path}`, Code.Unimplemented));
      return;
    }
    let call: ReturnType<typeof universalRequestFromNodeRequest>;
    try {
      call = universalRequestFromNodeRequest(request, response, undefined, undefined);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      refuse(response, 400, new ConnectError(`bad request: ${why}`, Code.InvalidArgument));
      return;
    }
    handler(call)
      .then((answer) => universalResponseToNodeResponse(answer, response))
      .catch((error: unknown) => {
        if (ConnectError.from(error).code === Code.Aborted || response.destroyed) return; // the device hung up
        logger.warn({ err: error, path }, "failed to send the response");
        response.destroy();
      });
  };
}

function refuse(response: Response, status: number, error: ConnectError): void {
  const body = errorToJsonBytes(error, undefined);
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  response.end(Buffer.from(body));
}
