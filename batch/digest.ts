import { hash } from "node:crypto";
import { canonicalForm } from "./canonical-form.ts";
import type { ScannedBatch } from "./scan.ts";

/**
 * 16 bytes that stand for what a batch means, whatever the bytes it came in: part of its identity, so a retry is told
 * from another batch under the same number. Takes the batch as {@link scan} gave it. The first half of SHA-256 over its
 * canonical form: nobody can make two batches with the same one.
 */
export function digest(batch: ScannedBatch): Buffer {
  return hash("sha256", canonicalForm(batch), "buffer").subarray(0, 16);
}
