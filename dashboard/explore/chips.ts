import { type AttributeFilter, hasCondition, type LogFilter, noFilter } from "../state/view.ts";

/** A condition in force, as the page names it. */
export interface Chip {
  readonly name: string;
  readonly value: string | undefined;
  readonly isExcluded: boolean;
  /** The changes that take the condition away. */
  readonly without: Partial<LogFilter>;
}

type ChipsOf = (filter: LogFilter) => readonly Chip[];

const shownElsewhere: ChipsOf = () => [];

const chipsOfCondition: { readonly [Name in keyof LogFilter]: ChipsOf } = {
  devices: eachOf("devices", (device) => ["device", device]),
  excludedDevices: eachOf("excludedDevices", (device) => ["device", device], true),
  session: wholeOf("session", (session) => ["session", session]),
  minLevel: shownElsewhere, // by its select
  levels: wholeOf("levels", (levels) => ["levels", levels.map(({ label }) => label).join(" ")]),
  logger: wholeOf("logger", (logger) => ["logger", `${logger}…`]),
  excludedLoggers: eachOf("excludedLoggers", (logger) => ["logger", `${logger}…`], true),
  attributes: eachOf("attributes", ofAttribute),
  excludedAttributes: eachOf("excludedAttributes", ofAttribute, true),
  search: shownElsewhere, // by the search box
};

export function chipsOf(filter: LogFilter): readonly Chip[] {
  return Object.values(chipsOfCondition).flatMap((chips) => chips(filter));
}

type Shown = readonly [name: string, value: string | undefined];
type ListName = {
  [Name in keyof LogFilter]: LogFilter[Name] extends readonly unknown[] ? Name : never;
}[keyof LogFilter];

/** A chip for each value of the condition. */
function eachOf<Name extends ListName>(
  condition: Name,
  show: (value: LogFilter[Name][number]) => Shown,
  isExcluded = false,
): ChipsOf {
  return (filter) =>
    filter[condition].map((each) => {
      const [name, value] = show(each);
      const others = (filter[condition] as readonly unknown[]).filter((other) => other !== each);
      return { name, value, isExcluded, without: { [condition]: others } };
    });
}

/** One chip for the condition. */
function wholeOf<Name extends keyof LogFilter>(
  condition: Name,
  show: (value: LogFilter[Name]) => Shown,
): ChipsOf {
  return (filter) => {
    if (!hasCondition(filter, condition)) return [];
    const [name, value] = show(filter[condition]);
    return [{ name, value, isExcluded: false, without: { [condition]: noFilter[condition] } }];
  };
}

function ofAttribute({ name, value }: AttributeFilter): Shown {
  return [name, value];
}
