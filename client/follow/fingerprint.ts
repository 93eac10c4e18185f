import { createHash } from "node:crypto";

/** How many bytes at the beginning, and before the place that is read, tell one log from another. */
export const windowBytes = 1_024;

/**
 * A place in a log, and by what the log is known again, whatever its name and inode: digests of its beginning and of what
 * stands before the place, of both as much as there is up to {@link windowBytes}.
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
