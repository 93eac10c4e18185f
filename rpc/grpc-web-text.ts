import type { UniversalRequest, UniversalResponse } from "./serve-call.ts";

/** gRPC-Web in base64, for browsers that read responses as text while they arrive. */
export function isGrpcWebText(contentType: string): boolean {
  return /^application\/grpc-web-text($|\+proto|[; ])/i.test(contentType);
}

type Handler = (request: UniversalRequest) => Promise<UniversalResponse>;

/** The same handler of gRPC-Web, for a body in base64. */
export function withText(handler: Handler): Handler {
  return async (request) => {
    const response = await handler({ ...request, body: decoded(request.body as AsyncIterable<Uint8Array>) });
    const header = new Headers(response.header);
    if (!header.get("content-type")?.startsWith("application/grpc-web")) return response;
    header.set("content-type", "application/grpc-web-text+proto");
    header.delete("content-length");
    return { ...response, header, ...(response.body && { body: encoded(response.body) }) };
  };
}

/** Four characters are three bytes; each part may end with padding. */
async function* decoded(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let rest = "";
  for await (const piece of body) {
    const text = rest + Buffer.from(piece).toString("latin1");
    const end = text.length - (text.length % 4);
    rest = text.slice(end);
    yield decode(text.slice(0, end));
  }
  if (rest !== "") yield decode(rest);
}

function decode(text: string): Uint8Array {
  return Buffer.concat((text.match(/[^=]+/g) ?? []).map((part) => Buffer.from(part, "base64")));
}

async function* encoded(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const piece of body) yield Buffer.from(Buffer.from(piece).toString("base64"));
}
