/**
 * The session of batches that servers name by their content. It starts with `~`, so no device has it, and its sequences
 * mean nothing: no order, no missing ones, no reuse.
 */
export const contentSession = "~otlp";

/** The identity of a batch whose sender gives it none, and whose content no other batch has: the same for each retry. */
export function contentIdentity(digest: Buffer): { readonly sessionId: string; readonly sequence: bigint } {
  // Any sequence would do, the ledger has the digest beside it; this one keeps the ledger's index selective.
  return { sessionId: contentSession, sequence: (digest.readBigUInt64BE() >> 2n) + 1n };
}
