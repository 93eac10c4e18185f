import type { BatchIdentity } from "./batch-identity.ts";

/**
 * Why a batch cannot be what the entry that carries it says; undefined when it is. The server may have named the
 * session of a sender without state, with a `~`, and counted its batches.
 */
export function identityProblem(claimed: BatchIdentity, scanned: BatchIdentity): string | undefined {
  if (claimed.deviceId !== scanned.deviceId) {
    return `device=${claimed.deviceId}, but its batch is of ${scanned.deviceId}`;
  }
  const isNamedByServer = claimed.sessionId.startsWith("~") && scanned.sessionId === "";
  const isSame = claimed.sessionId === scanned.sessionId && claimed.sequence === scanned.sequence;
  if (isNamedByServer || isSame) return undefined;
  return (
    `session=${claimed.sessionId} sequence=${claimed.sequence}, ` +
    `but its batch is ${scanned.sequence} of ${JSON.stringify(scanned.sessionId)}`
  );
}
