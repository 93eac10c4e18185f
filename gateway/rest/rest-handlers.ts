import type { JsonObject } from "@bufbuild/protobuf";
import { createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { requestFault } from "../http/request-fault.ts";
import { type RpcHandlers, rpcPath } from "../http/rpc-handlers.ts";
import { InvalidFieldError } from "../invalid-field.ts";
import { requestFromQuery } from "./request-from-query.ts";
import { restRoutes } from "./routes.ts";

/** What serves each REST path. */
export type RestHandlers = ReadonlyMap<string, UniversalHandler>;

/**
 * A REST call is the Connect call with the same request as JSON: so both have one implementation, one JSON, one way
 * of compression, deadlines, metrics and errors.
 */
export function createRestHandlers(rpcHandlers: RpcHandlers): RestHandlers {
  return new Map(
    restRoutes.map(({ path, method }) => {
      const rpc = rpcHandlers.get(rpcPath(method.parent, method.name));
      if (rpc === undefined) throw new Error(`${path}: nothing serves ${method.toString()}`);
      const handle: typeof rpc = Object.assign(async (request: Parameters<UniversalHandler>[0]) => {
        const contextValues = createContextValues();
        const header = new Headers(request.header);
        header.set("content-type", "application/json");
        header.delete("content-encoding");
        let body: JsonObject = {};
        try {
          body = requestFromQuery(method.input, new URL(request.url).searchParams);
        } catch (error) {
          if (!(error instanceof InvalidFieldError)) throw error;
          contextValues.set(requestFault, error);
        }
        return await rpc({ ...request, method: "POST", header, body, contextValues });
      }, rpc);
      return [path, handle] as const;
    }),
  );
}
