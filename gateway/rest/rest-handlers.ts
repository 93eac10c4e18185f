import type { DescMessage, JsonObject } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { earlyError } from "#rpc/create-handlers.ts";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { type RpcHandlers, rpcPath } from "../http/rpc-handlers.ts";
import { requestFromQuery } from "./request-from-query.ts";
import { matchPath, type RestRoute, restRoutes } from "./routes.ts";

/** A handler of REST calls. */
export interface RestHandlers {
  /** As documented, `/v1/devices/{device_id}`. */
  readonly paths: readonly string[];
  readonly find: (path: string) => UniversalHandler | undefined;
}

/**
 * A REST call becomes the Connect call with the same request as JSON, so that both share one implementation,
 * one JSON, and one way of compression, deadlines, metrics and errors.
 */
export function createRestHandlers(rpcHandlers: RpcHandlers): RestHandlers {
  const served = restRoutes.map((route) => ({ route, rpc: findRpc(route, rpcHandlers) }));
  return {
    paths: restRoutes.map(({ path }) => path),
    find: (path) => {
      for (const { route, rpc } of served) {
        const fields = matchPath(route, path);
        if (fields !== undefined) return createRestHandler(route, rpc, fields);
      }
      return undefined;
    },
  };
}

function findRpc({ path, method }: RestRoute, rpcHandlers: RpcHandlers): UniversalHandler {
  const rpc = rpcHandlers.get(rpcPath(method.parent, method.name));
  if (rpc === undefined) throw new Error(`${path}: nothing serves ${method.toString()}`);
  return rpc;
}

function createRestHandler(
  { method }: RestRoute,
  rpc: UniversalHandler,
  fields: ReadonlyMap<string, string>,
): UniversalHandler {
  const handle = async (request: Parameters<UniversalHandler>[0]) => {
    const header = new Headers(request.header);
    header.set("content-type", "application/json");
    header.delete("content-encoding");
    const query = new URL(request.url).searchParams;
    for (const [name, value] of fields) query.append(name, value);
    return await rpc({
      ...request,
      method: "POST",
      header,
      ...readCall(method.input, query, request.contextValues),
    });
  };
  return Object.assign(handle, rpc, { allowedMethods: ["GET", "HEAD"] });
}

/** The request in the query parameters; the context carries the error of an invalid one. */
export function readCall(
  input: DescMessage,
  query: URLSearchParams,
  contextValues = createContextValues(),
): { readonly body: JsonObject; readonly contextValues: ContextValues } {
  try {
    return { body: requestFromQuery(input, query), contextValues };
  } catch (error) {
    if (!(error instanceof InvalidFieldError)) throw error;
    contextValues.set(earlyError, error);
    return { body: {}, contextValues };
  }
}
