import { limits } from "../limits.ts";
import { recordTags } from "../log-tags.ts";
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
  | { readonly field: "severity" }
  /** Which of {@link timeFields}. */
  | { readonly field: "time"; readonly index: number }
  /** Which of {@link stringFields}. */
  | { readonly field: "string"; readonly index: number }
  | { readonly field: "attributes" };

/** By rising number. */
export const timeFields = [
  { name: "time_unix_nano", tag: recordTags.timeUnixNano, isTime: true },
  { name: "uptime_nano", tag: recordTags.uptimeNano, isTime: false },
  { name: "observed_time_unix_nano", tag: recordTags.observedTimeUnixNano, isTime: true },
] as const;

/** The last values of all fields. */
export interface RecordValues {
  /** Of each of {@link timeFields}. */
  readonly times: readonly JsonValue[];
  readonly severity: JsonValue;
  /** Of each of {@link stringFields}. */
  readonly strings: readonly JsonValue[];
}

/** The field, what its value is, and what is wanted. */
export function describeProblem(
  bytes: Buffer,
  problem: Exclude<Problem, { field: "attributes" }>,
  values: RecordValues,
): string {
  const show = ({ wholeStart, wholeEnd }: JsonValue) => shownValue(bytes, wholeStart, wholeEnd);
  switch (problem.field) {
    case "record":
      return `record is ${kindNames[problem.kind]}, expected an object`;
    case "time":
      return describeTime(problem.index, show(values.times[problem.index]!));
    case "severity": {
      const wanted = `expected a name such as WARN or a number from 0 to ${limits.severityMax}`;
      return `severity is ${show(values.severity)}, ${wanted}`;
    }
    case "string": {
      const { name, isId, bytesMax } = stringFields[problem.index]!;
      const wanted = isId ? idForms(bytesMax) : "a string";
      return `${name} is ${show(values.strings[problem.index]!)}, expected ${wanted}`;
    }
  }
}

function describeTime(index: number, shown: string): string {
  const { name, isTime } = timeFields[index]!;
  const wanted = isTime
    ? "nanoseconds since 1970 or RFC 3339, from 1970 to 2554"
    : "nanoseconds since the boot";
  return `${name} is ${shown}, expected ${wanted}`;
}
