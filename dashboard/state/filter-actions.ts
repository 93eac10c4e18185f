import { type SeverityLevel, severityLevels, toLevel } from "./severity-level.ts";
import type { AttributeFilter, LogFilter } from "./view.ts";

/** A field of a record with its value, from which a filter can be made. */
export type FieldValue =
  | { readonly field: "device" | "logger" | "session"; readonly value: string }
  | { readonly field: "severity"; readonly value: number }
  | { readonly field: "attribute"; readonly name: string; readonly value: string | undefined };

/** The changes that leave only records with this value; undefined where the filter has no such condition. */
export function filterFor(filter: LogFilter, field: FieldValue): Partial<LogFilter> | undefined {
  switch (field.field) {
    case "device":
      return { devices: [field.value], excludedDevices: without(filter.excludedDevices, field.value) };
    case "logger":
      return { logger: field.value, excludedLoggers: without(filter.excludedLoggers, field.value) };
    case "session":
      return { session: field.value };
    case "severity":
      return { levels: [toLevel(field.value)], minLevel: undefined };
    case "attribute":
      return {
        attributes: [...withoutAttribute(filter.attributes, field), toAttributeFilter(field)],
        excludedAttributes: withoutAttribute(filter.excludedAttributes, field),
      };
  }
}

/** The changes that exclude records with this value. */
export function filterOut(filter: LogFilter, field: FieldValue): Partial<LogFilter> | undefined {
  switch (field.field) {
    case "device":
      return {
        excludedDevices: [...without(filter.excludedDevices, field.value), field.value],
        devices: without(filter.devices, field.value),
      };
    case "logger":
      if (field.value === "") return undefined; // every logger begins with the empty prefix
      return {
        excludedLoggers: [...without(filter.excludedLoggers, field.value), field.value],
        logger: filter.logger === field.value ? "" : filter.logger,
      };
    case "session":
      return undefined;
    case "severity":
      return { levels: toggledLevel(filter, toLevel(field.value)), minLevel: undefined };
    case "attribute":
      return {
        excludedAttributes: [...withoutAttribute(filter.excludedAttributes, field), toAttributeFilter(field)],
        attributes: withoutAttribute(filter.attributes, field),
      };
  }
}

/** The levels that remain when this one is toggled; all of them equal none. */
export function toggledLevel(filter: LogFilter, level: SeverityLevel): readonly SeverityLevel[] {
  const passing = severityLevels.filter((each) => passes(filter, each));
  const next = passing.includes(level)
    ? passing.filter((each) => each !== level)
    : severityLevels.filter((each) => each === level || passing.includes(each));
  return next.length === severityLevels.length ? [] : next;
}

export function passes({ minLevel, levels }: LogFilter, level: SeverityLevel): boolean {
  return (
    (minLevel === undefined || level.from >= minLevel.from) && (levels.length === 0 || levels.includes(level))
  );
}

function without<T>(values: readonly T[], value: T): readonly T[] {
  return values.filter((each) => each !== value);
}

function withoutAttribute(
  filters: readonly AttributeFilter[],
  { name, value }: AttributeFilter,
): AttributeFilter[] {
  return filters.filter((each) => each.name !== name || each.value !== value);
}

function toAttributeFilter({ name, value }: AttributeFilter): AttributeFilter {
  return { name, value };
}
