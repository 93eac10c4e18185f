import { attributeTags } from "../log-tags.ts";
import { quoted } from "../quoted.ts";
import type { FieldFault } from "../record-fault.ts";
import { shownValue } from "./json-fields.ts";
import { type JsonKind, jsonKind, kindNames } from "./json-kind.ts";

/** Whose problem it is: of the attributes, of a member of the object, or of an element of the list. */
export type AttributePlace =
  | { readonly nameStart: number; readonly nameEnd: number }
  | { readonly element: number }
  | undefined;

/** A problem of attributes; its text is built only where it is reported. */
export interface AttributeProblem {
  readonly place: AttributePlace;
  readonly kind: JsonKind;
  readonly start: number;
  readonly end: number;
  readonly wanted: string;
}

/** What can be in each place. */
export const wanted = {
  attributes: "an object, or a list of attributes",
  element: "an object with key and a value",
  any: "a string, a number, true, false or null",
  number: "a number of at most 1.8e308",
} as const;

/** By the tag of a field of a listed attribute. */
export const wantedIn = new Map<number, string>([
  [attributeTags.key, "a string"],
  [attributeTags.stringValue, "a string"],
  [attributeTags.boolValue, "true or false"],
  [attributeTags.intValue, "an integer of 64 bits"],
  [attributeTags.doubleValue, "a number of at most 1.8e308, or NaN, Infinity or -Infinity"],
]);

export function describeAttributeProblem(
  bytes: Buffer,
  problem: AttributeProblem,
  field: string,
): FieldFault {
  const { place, kind, start, end, wanted } = problem;
  const isNested = kind === jsonKind.object || kind === jsonKind.array;
  const shown = isNested ? kindNames[kind] : shownValue(bytes, start, end);
  return { field: field + describePlace(bytes, place), problem: `is ${shown}, expected ${wanted}` };
}

function describePlace(bytes: Buffer, place: AttributePlace): string {
  if (place === undefined) return "";
  return "element" in place
    ? `[${place.element}]`
    : `[${quoted(bytes.subarray(place.nameStart, place.nameEnd))}]`;
}
