import type { IncomingHttpHeaders } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";

/** Why a request reaches no handler. */
export interface RequestError {
  readonly error: ConnectError;
  /** For Connect and REST; gRPC and gRPC-Web have the error's code alone. */
  readonly httpStatus: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export function requestError(
  httpStatus: number,
  code: Code,
  message: string,
  headers: RequestError["headers"] = {},
): RequestError {
  return { error: new ConnectError(message, code), httpStatus, headers };
}

export function unknownPath(path: string, known = "no such RPC", code = Code.Unimplemented): RequestError {
  return requestError(404, code, `${path.slice(0, shownCharactersMax)}: ${known}`);
}

export function wrongMethod(method: string | undefined, allowed: readonly string[]): RequestError {
  const message = `method ${method}: expected ${allowed.join(" or ")}`;
  return requestError(405, Code.Unimplemented, message, { allow: allowed.join(", ") });
}

export function wrongContentType(
  contentType = "",
  expected: string,
  code = Code.InvalidArgument,
): RequestError {
  const seen = JSON.stringify(contentType.slice(0, shownCharactersMax));
  return requestError(415, code, `content-type: ${seen}, expected ${expected}`);
}

/** Why the handler cannot serve a request of this form, where connect-node would send a bare status; undefined: it can. */
export function checkRequest(
  { method: { methodKind }, allowedMethods, protocolNames, supportedContentType }: UniversalHandler,
  request: {
    readonly method?: string | undefined;
    readonly httpVersionMajor: number;
    readonly headers: IncomingHttpHeaders;
  },
): RequestError | undefined {
  const { method = "", httpVersionMajor, headers } = request;
  const contentType = headers["content-type"];
  if (!allowedMethods.includes(method)) return wrongMethod(method, allowedMethods);
  if (httpVersionMajor < 2) {
    // A client that waits for the other direction would hang: hence the end of the connection.
    const close = { connection: "close" };
    if (methodKind === "bidi_streaming")
      return requestError(505, Code.Unimplemented, "bidirectional streams require HTTP/2", close);
    if (isGrpc(contentType) && protocolNames.includes("grpc"))
      return requestError(505, Code.Unimplemented, needsHttp2, close);
  }
  // A GET names its encoding in the query.
  if (method === "GET" || method === "HEAD" || supportedContentType(contentType ?? "")) return undefined;
  const connect = methodKind === "unary" ? "application/" : "application/connect+";
  return wrongContentType(contentType, `${connect}json, ${connect}proto or application/grpc-web+proto`);
}

/** gRPC itself, which needs HTTP/2 for its trailers; gRPC-Web does not. */
export function isGrpc(contentType: string | undefined): boolean {
  return /^application\/grpc($|[+; ])/i.test(contentType ?? "");
}

export function isGrpcWeb(contentType: string | undefined): boolean {
  return /^application\/grpc-web($|[-+; ])/i.test(contentType ?? "");
}

const needsHttp2 = "gRPC requires HTTP/2: over HTTP/1.1 use Connect or gRPC-Web";
/** Escaped twice, in JSON within JSON, an error is still below 1 KiB. */
const shownCharactersMax = 100;
