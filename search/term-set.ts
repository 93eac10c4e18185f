import { foldCase } from "./fold-case.ts";

/*
 * What records can be searched for, as terms: each three neighbouring bytes of a message in lower case and of a logger, the
 * name of an attribute, an attribute with its value, a trace. A term is a number; different terms may share one. A record that
 * is searched for has all terms of the search, so that what lacks one of them need not be read.
 */

/** Terms are numbers from 0, below this. */
export const termCount = 1 << 16;

/** The terms of some records, or of a search. Texts are UTF-8. */
export class TermSet {
  readonly #bits = new Uint32Array(termCount / 32);

  /** Of a message, or a part of one, in any case. One with a character beyond ASCII costs about ten times as much. */
  addText(bytes: Uint8Array, start: number, end: number): void {
    const bits = this.#bits;
    let window = 0;
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!;
      if (byte > 0x7f) {
        const folded = Buffer.from(foldCase(Buffer.from(bytes.subarray(start, end)).toString()));
        return this.#addWindows(folded, 0, folded.length);
      }
      window = ((window << 8) | lowerCase[byte]!) & 0xff_ffff;
      if (at < start + 2) continue;
      const term = Math.imul(window, spread) >>> 16;
      bits[term >>> 5]! |= 1 << term;
    }
  }

  /** Of a logger, or the first bytes of one: its beginning is marked, so that one byte of it is a term. */
  addLogger(bytes: Uint8Array, start: number, end: number): void {
    let window = 0;
    for (let at = start; at < end; at++) {
      window = ((window << 8) | bytes[at]!) & 0xff_ffff;
      this.add(Math.imul(window | (kinds.logger << 24), spread) >>> 16);
    }
  }

  addAttributeName(name: Uint8Array, start: number, end: number): void {
    this.#addHash(hashBytes(kinds.name, name, start, end));
  }

  addAttribute(
    name: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const hash = hashBytes(kinds.attribute, name, nameStart, nameEnd);
    this.#addHash(hashBytes(hash + 1, value, valueStart, valueEnd));
  }

  addTraceId(bytes: Uint8Array, start: number, end: number): void {
    this.#addHash(hashBytes(kinds.trace, bytes, start, end));
  }

  get count(): number {
    let count = 0;
    this.forEach(() => {
      count += 1;
    });
    return count;
  }

  /** Calls `visit` with each term, ascending. */
  forEach(visit: (term: number) => void): void {
    const bits = this.#bits;
    for (let index = 0; index < bits.length; index++) {
      for (let rest = bits[index]!; rest !== 0; rest &= rest - 1)
        visit(index * 32 + 31 - Math.clz32(rest & -rest));
    }
  }

  clear(): void {
    this.#bits.fill(0);
  }

  #addWindows(bytes: Uint8Array, start: number, end: number): void {
    let window = 0;
    for (let at = start; at < end; at++) {
      window = ((window << 8) | bytes[at]!) & 0xff_ffff;
      if (at >= start + 2) this.add(Math.imul(window, spread) >>> 16);
    }
  }

  /** Two terms, as one is shared by too many. */
  #addHash(hash: number): void {
    let mixed = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
    mixed ^= mixed >>> 16;
    this.add(mixed >>> 16);
    this.add(mixed & 0xffff);
  }

  add(term: number): void {
    this.#bits[term >>> 5]! |= 1 << term;
  }
}

/** Terms of different kinds are different, unless by chance. */
const kinds = { logger: 1, name: 2, attribute: 3, trace: 4 } as const;

/** 2^32 divided by the golden ratio: neighbouring windows become terms far apart. */
const spread = 0x9e37_79b1;

const lowerCase = Uint8Array.from({ length: 0x80 }, (_, byte) =>
  byte > 0x40 && byte < 0x5b ? byte + 32 : byte,
);

/** FNV-1a. */
function hashBytes(seed: number, bytes: Uint8Array, start: number, end: number): number {
  let hash = seed ^ 0x811c_9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193);
  return hash;
}
