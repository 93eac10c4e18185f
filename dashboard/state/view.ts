import { levelNamed, type SeverityLevel } from "./severity-level.ts";
import { readRange, type TimeRange, writeRange } from "./time-range.ts";

/** An attribute that must, or must not, be there; without a value any will do. */
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
}

/** All that can be seen of the page, but for the place it is at: what the URL holds. */
export interface View extends LogFilter {
  readonly range: TimeRange;
  readonly oldestFirst: boolean;
  readonly utc: boolean;
  readonly wrap: boolean;
  /** Attributes shown as columns of their own. */
  readonly columns: readonly string[];
  /** The key of the open row. */
  readonly open: string;
  /** How the devices are searched and sorted: `-errors` is by errors, most first. */
  readonly deviceSearch: string;
  readonly deviceOrder: string;
  readonly silent: string;
}

export function readView(parameters: URLSearchParams): View {
  const attributes = (name: string) => parameters.getAll(name).map(readAttribute);
  const levels = parameters.getAll("level").map(levelNamed);
  return {
    range: readRange(parameters),
    devices: parameters.getAll("device"),
    excludedDevices: parameters.getAll("-device"),
    minLevel: levelNamed(parameters.get("severity")),
    levels: levels.filter((level) => level !== undefined),
    logger: parameters.get("logger") ?? "",
    excludedLoggers: parameters.getAll("-logger"),
    search: parameters.get("q") ?? "",
    attributes: attributes("attribute"),
    excludedAttributes: attributes("-attribute"),
    session: parameters.get("session") ?? "",
    oldestFirst: parameters.get("order") === "oldest",
    utc: parameters.get("tz") === "utc",
    wrap: parameters.has("wrap"),
    columns: parameters.getAll("column"),
    open: parameters.get("open") ?? "",
    deviceSearch: parameters.get("find") ?? "",
    deviceOrder: parameters.get("sort") ?? "",
    silent: parameters.get("silent") ?? "",
  };
}

export function writeView(view: View): URLSearchParams {
  const parameters = new URLSearchParams();
  const all = (name: string, values: readonly string[]) =>
    values.forEach((value) => parameters.append(name, value));
  const one = (name: string, value: string) => value !== "" && parameters.set(name, value);
  writeRange(view.range, parameters);
  all("device", view.devices);
  all("-device", view.excludedDevices);
  one("severity", view.minLevel?.name ?? "");
  all(
    "level",
    view.levels.map(({ name }) => name),
  );
  one("logger", view.logger);
  all("-logger", view.excludedLoggers);
  one("q", view.search);
  all("attribute", view.attributes.map(writeAttribute));
  all("-attribute", view.excludedAttributes.map(writeAttribute));
  one("session", view.session);
  one("order", view.oldestFirst ? "oldest" : "");
  one("tz", view.utc ? "utc" : "");
  one("wrap", view.wrap ? "1" : "");
  all("column", view.columns);
  one("open", view.open);
  one("find", view.deviceSearch);
  one("sort", view.deviceOrder);
  one("silent", view.silent);
  return parameters;
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
};

export function hasFilter(filter: LogFilter): boolean {
  return (Object.keys(noFilter) as (keyof LogFilter)[]).some((name) => {
    const value = filter[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== "";
  });
}

/** `name=value`, or `name` for any value; a "=" or "\" in the name stands behind a "\", as in the gateway's queries. */
export function readAttribute(text: string): AttributeFilter {
  const [, name = "", value] = /^((?:[^=\\]|\\.)*)(?:=(.*))?$/s.exec(text) ?? [undefined, text];
  return { name: name.replaceAll(/\\(.)/g, "$1"), value };
}

export function writeAttribute({ name, value }: AttributeFilter): string {
  const escaped = name.replaceAll(/[=\\]/g, "\\$&");
  return value === undefined ? escaped : `${escaped}=${value}`;
}
