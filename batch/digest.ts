import { hash } from "node:crypto";

/**
 * 16 bytes that stand for a batch's bytes: part of its identity, so a retry is told from another batch under the
 * same number. The first half of SHA-256: nobody can make two batches with the same one.
 */
export function digest(bytes: Uint8Array): Buffer {
  return hash("sha256", bytes, "buffer").subarray(0, 16);
}
