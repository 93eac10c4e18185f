import { type EnvelopedMessage, transformSplitEnvelope } from "@connectrpc/connect/protocol";

/** The messages in the body of a gRPC, gRPC-Web or Connect stream, with their flags. */
export function splitEnvelopes(body: Uint8Array): Promise<EnvelopedMessage[]> {
  return Array.fromAsync(transformSplitEnvelope(bytesMax)(once(body)));
}

const bytesMax = 16 << 20;

async function* once(body: Uint8Array) {
  yield await Promise.resolve(body);
}
