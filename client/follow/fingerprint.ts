import { createHash } from "node:crypto";

/** Bytes at the beginning and before the read position that identify a log. */
export const windowBytes = 1_024;

/**
 * A position in a log, with digests that identify the log whatever its name and inode: of its beginning
 * and of the bytes before the position, each up to {@link windowBytes}.
 */
export interface Fingerprint {
  readonly offset: number;
  readonly head: string;
  readonly tail: string;
}

/** Of windows that end at `offset`. */
export function fingerprint(offset: number, { head, tail }: { head: Buffer; tail: Buffer }): Fingerprint {
  const length = Math.min(windowBytes, offset);
  if (head.byteLength !== length || tail.byteLength !== length) {
    throw new RangeError(`windows of ${head.byteLength} and ${tail.byteLength} bytes at ${offset}`);
  }
  return { offset, head: digest(head), tail: digest(tail) };
}

const nothing = Buffer.alloc(0);
export const emptyFingerprint = fingerprint(0, { head: nothing, tail: nothing });

export function isEqual(a: Fingerprint, b: Fingerprint): boolean {
  return a.offset === b.offset && a.head === b.head && a.tail === b.tail;
}

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
}
