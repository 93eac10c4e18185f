import { type AttributeFilter, hasCondition, type LogFilter, noFilter } from "../state/view.ts";

/** A condition in force, as the dashboard shows it. */
export interface Chip {
  readonly name: string;
  readonly value: string | undefined;
  readonly isExcluded: boolean;
  /** The changes that remove the condition. */
  readonly without: Partial<LogFilter>;
}

type ListChips = (filter: LogFilter) => readonly Chip[];

const shownElsewhere: ListChips = () => [];

const chipsByCondition: { readonly [Name in keyof LogFilter]: ListChips } = {
  devices: chipPerValue("devices", (device) => ["device", device]),
  excludedDevices: chipPerValue("excludedDevices", (device) => ["device", device], true),
  session: singleChip("session", (session) => ["session", session]),
  trace: singleChip("trace", (trace) => ["trace", trace]),
  minLevel: shownElsewhere, // by its select
  levels: singleChip("levels", (levels) => ["levels", levels.map(({ label }) => label).join(" ")]),
  logger: singleChip("logger", (logger) => ["logger", `${logger}…`]),
  excludedLoggers: chipPerValue("excludedLoggers", (logger) => ["logger", `${logger}…`], true),
  attributes: chipPerValue("attributes", showAttribute),
  excludedAttributes: chipPerValue("excludedAttributes", showAttribute, true),
  search: shownElsewhere, // by the search box
};

export function listChips(filter: LogFilter): readonly Chip[] {
  return Object.values(chipsByCondition).flatMap((chips) => chips(filter));
}

type Shown = readonly [name: string, value: string | undefined];
type ListName = {
  [Name in keyof LogFilter]: LogFilter[Name] extends readonly unknown[] ? Name : never;
}[keyof LogFilter];

/** A chip for each value of the condition. */
function chipPerValue<Name extends ListName>(
  condition: Name,
  show: (value: LogFilter[Name][number]) => Shown,
  isExcluded = false,
): ListChips {
  return (filter) =>
    filter[condition].map((each) => {
      const [name, value] = show(each);
      const others = (filter[condition] as readonly unknown[]).filter((other) => other !== each);
      return { name, value, isExcluded, without: { [condition]: others } };
    });
}

/** One chip for the condition. */
function singleChip<Name extends keyof LogFilter>(
  condition: Name,
  show: (value: LogFilter[Name]) => Shown,
): ListChips {
  return (filter) => {
    if (!hasCondition(filter, condition)) return [];
    const [name, value] = show(filter[condition]);
    return [{ name, value, isExcluded: false, without: { [condition]: noFilter[condition] } }];
  };
}

function showAttribute({ name, value }: AttributeFilter): Shown {
  return [name, value];
}
