import { hash } from "node:crypto";
import { canonicalForm } from "./canonical-form.ts";
import type { ScannedBatch } from "./scan.ts";

/**
 * 16 bytes that identify the content of a batch, whatever its encoding. Part of its identity: distinguishes a retry
 * from another batch under the same sequence. Takes the batch as {@link scan} returned it. The first half of SHA-256
 * over its canonical form, so collisions cannot be constructed.
 */
export function digest(batch: ScannedBatch): Buffer {
  return hash("sha256", canonicalForm(batch), "buffer").subarray(0, 16);
}
