import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { createAdminHandler } from "#lib/admin-server.ts";
import type { Logger } from "#lib/logger.ts";
import { show } from "../invalid-field.ts";
import type { RestHandlers } from "../rest/rest-handlers.ts";
import { answerNotModified } from "./not-modified.ts";
import type { PageHandler } from "./page-files.ts";
import type { RpcHandlers } from "./rpc-handlers.ts";

export interface Faces {
  readonly admin: ReturnType<typeof createAdminHandler>;
  readonly page: PageHandler;
  readonly rpc: RpcHandlers;
  readonly rest: RestHandlers;
}

/** Everything the gateway serves, on one HTTP/1.1 port. What it does not serve is answered with what it does. */
export function createGatewayServer(faces: Faces, logger: Logger): Server {
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    try {
      route(faces, logger, request, response);
    } catch (error) {
      // Connect builds a URL from the Host header, and that throws for what is no host.
      logger.debug({ err: error }, "bad request");
      answer(response, 400, Code.InvalidArgument, "the Host header or the path is malformed");
    }
  });
  server.maxConnections = connectionsMax;
  return server;
}

function route(faces: Faces, logger: Logger, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  if (faces.admin(request, response) || faces.page(request, response)) return;
  const rpc = faces.rpc.get(path);
  const rest = faces.rest.find(path);
  if (rpc !== undefined) {
    serve(rpc, rpc.allowedMethods, logger, request, response);
  } else if (rest !== undefined) {
    serve(rest, ["GET"], logger, request, response);
  } else if (path === "/") {
    const index = { service: "fleetlog gateway", addresses: addressesOf(faces) };
    response.writeHead(200, json).end(`${JSON.stringify(index, null, 2)}\n`);
  } else {
    // Connect and gRPC-Web clients are to read a missing method as UNIMPLEMENTED, people a path as not found.
    const code = path.startsWith("/fleetlog.") ? Code.Unimplemented : Code.NotFound;
    answer(
      response,
      404,
      code,
      `${path.slice(0, 200)}: nothing here, known are ${addressesOf(faces).join(", ")}`,
    );
  }
}

function serve(
  handler: UniversalHandler,
  methods: readonly string[],
  logger: Logger,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (!methods.includes(request.method ?? "")) {
    response.setHeader("allow", methods.join(", "));
    answer(response, 405, Code.Unimplemented, `method ${request.method}: wanted ${methods.join(" or ")}`);
    return;
  }
  const universalRequest = universalRequestFromNodeRequest(request, response, undefined, undefined);
  respond(handler, universalRequest, request, response).catch((error: unknown) => {
    // Of a caller who left there is nobody to tell.
    if (ConnectError.from(error).code === Code.Aborted || response.destroyed) return;
    logger.error({ err: error, path: request.url }, "failed to answer");
    if (response.headersSent) response.destroy();
    else answer(response, 500, Code.Internal, "internal error");
  });
}

async function respond(
  handler: UniversalHandler,
  universalRequest: Parameters<UniversalHandler>[0],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const result = await handler(universalRequest);
  if (answerNotModified(request, response, result)) return;
  if (result.status === 415) {
    const seen = show(request.headers["content-type"] ?? "");
    const wanted = "wanted application/json, application/proto or application/grpc-web+proto";
    answer(response, 415, Code.InvalidArgument, `content-type: ${seen}, ${wanted}`);
    return;
  }
  await universalResponseToNodeResponse(result, response);
}

/** An error in the shape of Connect's, for what never became an RPC. */
function answer(response: ServerResponse, status: number, code: Code, message: string): void {
  response.writeHead(status, { ...json, connection: "close" });
  response.end(JSON.stringify({ code: codeToString(code), message, details: [] }));
}

function addressesOf({ rpc, rest }: Faces): string[] {
  return [...rest.paths, ...rpc.keys(), "/livez", "/readyz", "/metrics"];
}

/** Beyond this, new connections are closed at once. */
const connectionsMax = 4096;
const json = { "content-type": "application/json" };
