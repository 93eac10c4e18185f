import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { invalidArgument } from "../verdict.ts";
import { refusalError } from "./refusal-error.ts";

/**
 * Refuses a body of JSON that is not UTF-8: it would be read with U+FFFD in the place of what is wrong, and stored so.
 * For unary calls; the frames of a stream are not all text.
 */
export function utf8Body(handler: UniversalHandler): UniversalHandler {
  if (handler.method.methodKind !== "unary") return handler;
  const handle: UniversalHandler = Object.assign((request: Parameters<UniversalHandler>[0]) => {
    const { body, header } = request;
    const isText = header.get("content-type")?.startsWith("application/json") ?? false;
    if (!isText || typeof body !== "object" || body === null || !isIterable(body)) return handler(request);
    return handler({ ...request, body: checked(body) });
  }, handler);
  return handle;
}

function isIterable(body: object): body is AsyncIterable<Uint8Array> {
  return Symbol.asyncIterator in body;
}

async function* checked(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let position = 0;
  for await (const chunk of body) {
    check(() => decoder.decode(chunk, { stream: true }), position);
    position += chunk.length;
    yield chunk;
  }
  check(() => decoder.decode(), position);
}

function check(decode: () => string, position: number): void {
  try {
    decode();
  } catch {
    const message = `request is not UTF-8, somewhere behind byte ${position}`;
    throw refusalError({ code: invalidArgument, field: "request", message, retryDelayMs: 0 });
  }
}
