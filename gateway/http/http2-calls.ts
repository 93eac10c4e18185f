import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { HostCheck } from "#lib/allowed-hosts.ts";
import type { Logger } from "#lib/logger.ts";
import { type RequestRefusal, refuseRequest } from "#lib/refuse-request.ts";
import { clientKey } from "../fairness/caller.ts";
import type { GatewayHandlers } from "./gateway-server.ts";

/** Serves the RPCs over HTTP/2, in gRPC, gRPC-Web and Connect. All else that the gateway has is for HTTP/1.1. */
export function createHttp2Calls(
  { rpc, nameClient }: Pick<GatewayHandlers, "rpc" | "nameClient">,
  checkHost: HostCheck,
  logger: Logger,
) {
  return (request: Http2ServerRequest, response: Http2ServerResponse): void => {
    const misdirected = checkHost(request);
    if (misdirected !== undefined) {
      refuseRequest(request, response, misdirected);
      return;
    }
    const path = request.url.split("?", 1)[0] ?? "";
    const handler = rpc.get(path);
    if (handler === undefined) {
      refuseRequest(
        request,
        response,
        refusal(404, Code.Unimplemented, `${path.slice(0, 200)}: unknown RPC`),
      );
      return;
    }
    const { headers, stream } = request;
    const client = nameClient({ headers, socket: { remoteAddress: stream.session?.socket.remoteAddress } });
    const contextValues = createContextValues().set(clientKey, client);
    let call: ReturnType<typeof universalRequestFromNodeRequest>;
    try {
      call = universalRequestFromNodeRequest(request, response, undefined, contextValues);
    } catch {
      // Connect builds a URL from :authority, and that throws for what is no host.
      refuseRequest(request, response, refusal(400, Code.InvalidArgument, ":authority is malformed"));
      return;
    }
    handler({ ...call, contextValues })
      .then((answer) => universalResponseToNodeResponse(answer, response))
      .catch((error: unknown) => {
        if (ConnectError.from(error).code === Code.Aborted || response.destroyed) return;
        logger.error({ err: error, path }, "failed to send a response");
        response.destroy();
      });
  };
}

function refusal(httpStatus: number, code: Code, message: string): RequestRefusal {
  const name = code === Code.Unimplemented ? "unimplemented" : "invalid_argument";
  return { httpStatus, code: name, grpcStatus: code, message };
}
