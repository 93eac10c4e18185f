import { foldCase } from "./fold-case.ts";
import { readMask, readSegments, type Segment, segmentsSlice, slicesOf } from "./slices.ts";
import { TermSet } from "./term-set.ts";

/** The terms that a matching record has: of each condition those of at least one alternative, and of that all. */
export class SearchTerms {
  readonly #conditions: (readonly (readonly number[])[])[] = [];
  #termCount = 0;

  /** A text that occurs in the message, in any case. */
  addText(text: string): void {
    // A half of a surrogate pair occurs in characters that have other bytes.
    if (!text.isWellFormed()) return;
    const bytes = Buffer.from(foldCase(text));
    this.#add([listTerms((terms) => terms.addText(bytes, 0, bytes.length))]);
  }

  addLoggerPrefix(prefix: string): void {
    const bytes = Buffer.from(prefix);
    this.#add([listTerms((terms) => terms.addLogger(bytes, 0, bytes.length))]);
  }

  addAttributeName(name: string): void {
    const bytes = Buffer.from(name);
    this.#add([listTerms((terms) => terms.addAttributeName(bytes, 0, bytes.length))]);
  }

  /** An attribute that has one of the values. */
  addAttribute(name: string, values: readonly string[]): void {
    const bytes = Buffer.from(name);
    this.#add(
      values.map((value) =>
        listTerms((terms) => {
          const valueBytes = Buffer.from(value);
          terms.addAttribute(bytes, 0, bytes.length, valueBytes, 0, valueBytes.length);
        }),
      ),
    );
  }

  addTraceId(bytes: Buffer): void {
    this.#add([listTerms((terms) => terms.addTraceId(bytes, 0, bytes.length))]);
  }

  /** Any record may match: such as of a text below three bytes. */
  get isEmpty(): boolean {
    return this.#conditions.length === 0;
  }

  /** Those that {@link matchingSegments} reads. */
  get slices(): readonly number[] {
    return [...new Set([segmentsSlice, ...this.#conditions.flat(2).flatMap(slicesOf)])];
  }

  /** Which segments of a summary may have matching records, by those of its slices that there are; undefined: unknown. */
  matchingSegments(slices: ReadonlyMap<number, Buffer>): MatchingSegments | undefined {
    const header = slices.get(segmentsSlice);
    const segments = header && readSegments(header);
    if (segments === undefined) return undefined;
    let matching = allSegments;
    for (const alternatives of this.#conditions) {
      let ofCondition = 0;
      for (const terms of alternatives) {
        let ofAll = allSegments;
        for (const term of terms) ofAll &= readMask(slices, segments.length, term);
        ofCondition |= ofAll;
      }
      matching &= ofCondition;
    }
    const found = segments.filter((_, index) => (matching & (1 << index)) !== 0);
    return { matching: found, records: countRecords(segments), recordsMatching: countRecords(found) };
  }

  #add(alternatives: readonly (readonly number[])[]): void {
    if (this.#termCount >= termsMax || alternatives.some((terms) => terms.length === 0)) return;
    this.#termCount += alternatives.flat().length;
    this.#conditions.push(alternatives);
  }
}

/** Some segments of a summary. */
interface MatchingSegments {
  readonly matching: readonly Segment[];
  /** Of the whole summary. */
  readonly records: number;
  /** Of those that match. */
  readonly recordsMatching: number;
}

function countRecords(segments: readonly Segment[]): number {
  return segments.reduce((sum, { recordCount }) => sum + recordCount, 0);
}

const allSegments = -1;

function listTerms(add: (terms: TermSet) => void): readonly number[] {
  const terms = new TermSet();
  add(terms);
  const numbers: number[] = [];
  terms.forEach((term) => numbers.push(term));
  return numbers.slice(0, termsOfTextMax);
}

/** A search reads a slice for each, and more narrow no further. */
const termsOfTextMax = 8;
/** Beyond this the other conditions of a filter are left to the matcher. */
const termsMax = 24;
