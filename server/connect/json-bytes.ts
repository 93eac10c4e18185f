import { AsyncLocalStorage } from "node:async_hooks";
import type { UniversalHandler } from "@connectrpc/connect/protocol";

/**
 * For the JSON encodings: connect-node asks a decoder for the text of a request and parses all of it. Ours keeps the
 * bytes beside the call and gives an empty object to parse, so that nothing is parsed before our own reader sees it,
 * which knows the limits. Messages of a stream are read one after the other, so one place serves a call.
 */
const calls = new AsyncLocalStorage<{ bytes: Uint8Array | undefined }>();

export const keepBytes = {
  decode(bytes: Uint8Array): string {
    ofThisCall().bytes = bytes;
    return "{}";
  },
};

/** The bytes of the message that the handler has just been given. */
export function takeBytes(): Uint8Array {
  const call = ofThisCall();
  const { bytes } = call;
  if (bytes === undefined) throw new Error("a request was handled before its bytes were read");
  call.bytes = undefined;
  return bytes;
}

/** The same handler, with a place for the bytes of its requests. */
export function withBytes(handler: UniversalHandler): UniversalHandler {
  const call = (request: Parameters<UniversalHandler>[0]) =>
    calls.run({ bytes: undefined }, () => handler(request));
  return Object.assign(call, handler);
}

function ofThisCall() {
  const call = calls.getStore();
  if (call === undefined) throw new Error("a JSON request was read outside of its call");
  return call;
}
