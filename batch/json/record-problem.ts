import { limits } from "../limits.ts";
import { quoted } from "../quoted.ts";
import { stringFields } from "../string-fields.ts";
import { shownValue } from "./json-fields.ts";
import { type JsonKind, kindNames } from "./json-kind.ts";
import { idForms } from "./read-id.ts";
import type { JsonText } from "./wire-writer.ts";

/** The last value of a field: its text is that of a string, or of the number as it is written. */
export interface JsonValue extends JsonText {
  /** 0: there is none, or null. */
  kind: JsonKind | 0;
  /** With its quotes. */
  wholeStart: number;
  wholeEnd: number;
}

/** A problem of a record; its text is built only for a record that is reported. */
export type Problem =
  | { readonly field: "record"; readonly kind: JsonKind }
  | { readonly field: "time" | "severity" | "attributes" }
  /** Which of {@link stringFields}. */
  | { readonly field: "string"; readonly index: number }
  | { readonly field: "attribute"; readonly kind: JsonKind; readonly start: number; readonly end: number }
  | { readonly field: "attributeCount"; readonly count: number };

/** The last values of all fields. */
export interface RecordValues {
  readonly time: JsonValue;
  readonly severity: JsonValue;
  readonly attributes: JsonValue;
  /** Of each of {@link stringFields}. */
  readonly strings: readonly JsonValue[];
}

/** The field, what its value is, and what is wanted. */
export function describeProblem(bytes: Buffer, problem: Problem, values: RecordValues): string {
  const show = ({ wholeStart, wholeEnd }: JsonValue) => shownValue(bytes, wholeStart, wholeEnd);
  switch (problem.field) {
    case "record":
      return `record is ${kindNames[problem.kind]}, expected an object`;
    case "time":
      return `time_unix_nano is ${show(values.time)}, expected nanoseconds since 1970 or RFC 3339, from 1970 to 2554`;
    case "severity": {
      const wanted = `expected a name such as WARN or a number from 0 to ${limits.severityMax}`;
      return `severity is ${show(values.severity)}, ${wanted}`;
    }
    case "string": {
      const { name, isId, bytesMax } = stringFields[problem.index]!;
      const wanted = isId ? idForms(bytesMax) : "a string";
      return `${name} is ${show(values.strings[problem.index]!)}, expected ${wanted}`;
    }
    case "attributes":
      return `attributes is ${show(values.attributes)}, expected an object`;
    case "attributeCount":
      return `attributes has ${problem.count} entries, the limit is ${limits.attributesMax}`;
    case "attribute": {
      const name = quoted(bytes.subarray(problem.start, problem.end));
      return `attributes[${name}] is ${kindNames[problem.kind]}, expected a string, a number, true, false or null`;
    }
  }
}
