import { levelNamed, type SeverityLevel } from "./severity-level.ts";
import { readRange, type TimeRange, writeRange } from "./time-range.ts";

/** An attribute that must, or must not, be present; without a value any value matches. */
export interface AttributeFilter {
  readonly name: string;
  readonly value: string | undefined;
}

export interface LogFilter {
  readonly devices: readonly string[];
  readonly excludedDevices: readonly string[];
  readonly minLevel: SeverityLevel | undefined;
  /** Exactly these levels; empty: all. */
  readonly levels: readonly SeverityLevel[];
  readonly logger: string;
  readonly excludedLoggers: readonly string[];
  /** The search box, as typed. */
  readonly search: string;
  readonly attributes: readonly AttributeFilter[];
  readonly excludedAttributes: readonly AttributeFilter[];
  readonly session: string;
  /** In hex. */
  readonly trace: string;
}

/** The state of the dashboard except its path: the query of the address. */
export interface View extends LogFilter {
  readonly range: TimeRange;
  readonly oldestFirst: boolean;
  readonly utc: boolean;
  readonly wrap: boolean;
  /** Attributes shown as columns of their own. */
  readonly columns: readonly string[];
  /** The key of the open row. */
  readonly open: string;
  /** The search and the sort order of the devices: `-errors` sorts by errors, most first. */
  readonly deviceSearch: string;
  readonly deviceOrder: string;
  readonly silent: string;
}

/** Reads and writes one member of the view as parameters of the address. */
interface Parameter<T> {
  readonly read: (parameters: URLSearchParams) => T;
  readonly write: (value: T, parameters: URLSearchParams) => void;
}

const inAddress: { readonly [Name in keyof View]: Parameter<View[Name]> } = {
  range: { read: readRange, write: writeRange },
  devices: texts("device"),
  excludedDevices: texts("-device"),
  minLevel: one("severity", levelNamed, (level) => level?.name ?? ""),
  levels: list(
    "level",
    (name) => levelNamed(name) ?? [],
    ({ name }) => name,
  ),
  logger: text("logger"),
  excludedLoggers: texts("-logger"),
  search: text("q"),
  attributes: list("attribute", readAttribute, writeAttribute),
  excludedAttributes: list("-attribute", readAttribute, writeAttribute),
  session: text("session"),
  trace: text("trace"),
  oldestFirst: flag("order", "oldest"),
  utc: flag("tz", "utc"),
  wrap: flag("wrap", "1"),
  columns: texts("column"),
  open: text("open"),
  deviceSearch: text("find"),
  deviceOrder: text("sort"),
  silent: text("silent"),
};

const viewNames = Object.keys(inAddress) as (keyof View)[];

export function readView(parameters: URLSearchParams): View {
  return Object.fromEntries(
    viewNames.map((name) => [name, inAddress[name].read(parameters)]),
  ) as unknown as View;
}

export function writeView(view: View): URLSearchParams {
  const parameters = new URLSearchParams();
  const write = <Name extends keyof View>(name: Name, value: View[Name]) =>
    inAddress[name].write(value, parameters);
  viewNames.forEach((name) => write(name, view[name]));
  return parameters;
}

function one<T>(name: string, parse: (text: string) => T, format: (value: T) => string): Parameter<T> {
  return {
    read: (parameters) => parse(parameters.get(name) ?? ""),
    write: (value, parameters) => {
      const written = format(value);
      if (written !== "") parameters.set(name, written);
    },
  };
}

function text(name: string): Parameter<string> {
  return one(name, String, String);
}

function flag(name: string, whenSet: string): Parameter<boolean> {
  return one(
    name,
    (written) => written === whenSet,
    (value) => (value ? whenSet : ""),
  );
}

function texts(name: string): Parameter<readonly string[]> {
  return list(name, String, String);
}

function list<T>(
  name: string,
  parse: (text: string) => T | [],
  format: (value: T) => string,
): Parameter<readonly T[]> {
  return {
    read: (parameters) => parameters.getAll(name).flatMap((written) => parse(written)),
    write: (values, parameters) => values.forEach((value) => parameters.append(name, format(value))),
  };
}

export const noFilter: LogFilter = {
  devices: [],
  excludedDevices: [],
  minLevel: undefined,
  levels: [],
  logger: "",
  excludedLoggers: [],
  search: "",
  attributes: [],
  excludedAttributes: [],
  session: "",
  trace: "",
};

export function hasFilter(filter: LogFilter): boolean {
  return (Object.keys(noFilter) as (keyof LogFilter)[]).some((name) => hasCondition(filter, name));
}

export function hasCondition(filter: LogFilter, name: keyof LogFilter): boolean {
  const value = filter[name];
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== "";
}

/** `name=value`, or `name` for any value; a "\" escapes a "=" or "\" in the name, as in the gateway's queries. */
export function readAttribute(text: string): AttributeFilter {
  const [, name = "", value] = /^((?:[^=\\]|\\.)*)(?:=(.*))?$/s.exec(text) ?? [undefined, text];
  return { name: name.replaceAll(/\\(.)/g, "$1"), value };
}

export function writeAttribute({ name, value }: AttributeFilter): string {
  const escaped = name.replaceAll(/[=\\]/g, "\\$&");
  return value === undefined ? escaped : `${escaped}=${value}`;
}
