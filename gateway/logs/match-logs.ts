import { scalarText } from "./attributes.ts";
import { toFoldedText } from "./folded-text.ts";
import type { AttributeSearch, BatchTraits, LogBlock, LoggerPrefix } from "./log-block.ts";
import { type AttributeCondition, type ConditionName, type LogFilter, listConditions } from "./log-filter.ts";

/** The columns of record_batches that conditions read. */
export type FilterColumn = "times" | "severities" | "loggers" | "messages" | "attributes" | "trace_ids";

/** How a condition is checked: on the batch, and unless that decides it, on each record. */
interface Check {
  readonly ofBatch?: (batch: BatchTraits) => "all" | "none" | "some";
  readonly records?: RecordCheck;
}

interface RecordCheck {
  readonly column: FilterColumn;
  /** False: no record of the block meets it. */
  readonly ofBlock?: (block: LogBlock) => boolean;
  readonly ofRecord: (block: LogBlock, place: number) => boolean;
}

/** What each condition means. The ledger selects batches by what a matching record implies for its batch. */
const checks: { readonly [Name in ConditionName]: (value: NonNullable<LogFilter[Name]>) => Check } = {
  deviceIds: (ids) => ({ ofBatch: ({ deviceId }) => (ids.includes(deviceId) ? "all" : "none") }),
  excludedDeviceIds: (ids) => ({ ofBatch: ({ deviceId }) => (ids.includes(deviceId) ? "none" : "all") }),
  sessionId: (id) => ({ ofBatch: ({ sessionId }) => (id === sessionId ? "all" : "none") }),
  startMicros: (micros) => ({
    ofBatch: ({ span }) => {
      if (span === undefined) return "some";
      return span.firstMicros >= micros ? "all" : span.lastMicros < micros ? "none" : "some";
    },
    records: { column: "times", ofRecord: (block, place) => block.timeMicros(place) >= micros },
  }),
  endMicros: (micros) => ({
    ofBatch: ({ span }) => {
      if (span === undefined) return "some";
      return span.lastMicros < micros ? "all" : span.firstMicros >= micros ? "none" : "some";
    },
    records: { column: "times", ofRecord: (block, place) => block.timeMicros(place) < micros },
  }),
  severities: (wanted) => ({
    ofBatch: ({ severities }) =>
      (severities & wanted) === 0 ? "none" : (severities & ~wanted) === 0 ? "all" : "some",
    records: {
      column: "severities",
      ofRecord: (block, place) => (wanted & (1 << block.severity(place))) !== 0,
    },
  }),
  traceId: (hex) => {
    const traceId = Buffer.from(hex, "hex");
    return {
      records: {
        column: "trace_ids",
        ofBlock: (block) => block.mayHaveTrace(traceId),
        ofRecord: (block, place) => block.hasTrace(place, traceId),
      },
    };
  },
  loggerPrefix: (text) => {
    const prefix = toPrefix(text);
    return {
      records: {
        column: "loggers",
        ofBlock: (block) => block.mayHaveLogger(prefix),
        ofRecord: (block, place) => block.hasLogger(place, prefix),
      },
    };
  },
  excludedLoggerPrefixes: (texts) => {
    const prefixes = texts.map(toPrefix);
    return {
      records: {
        column: "loggers",
        ofRecord: (block, place) => !prefixes.some((prefix) => block.hasLogger(place, prefix)),
      },
    };
  },
  attributes: (attributes) => {
    const searches = attributes.map(toAttributeSearch);
    return {
      records: {
        column: "attributes",
        ofBlock: (block) => searches.every((one) => block.mayHaveAttribute(one)),
        ofRecord: (block, place) => searches.every((one) => block.hasAttribute(place, one)),
      },
    };
  },
  excludedAttributes: (attributes) => {
    const searches = attributes.map(toAttributeSearch);
    return {
      records: {
        column: "attributes",
        ofRecord: (block, place) => !searches.some((one) => block.hasAttribute(place, one)),
      },
    };
  },
  texts: (texts) => {
    const folded = texts.map(toFoldedText);
    return {
      records: {
        column: "messages",
        ofBlock: (block) => folded.every((text) => block.mayContain(text)),
        ofRecord: (block, place) => folded.every((text) => block.contains(place, text)),
      },
    };
  },
  excludedTexts: (texts) => {
    const folded = texts.map(toFoldedText);
    return {
      records: {
        column: "messages",
        ofRecord: (block, place) => !folded.some((text) => block.contains(place, text)),
      },
    };
  },
};

function toPrefix(text: string): LoggerPrefix {
  return { text, bytes: Buffer.from(text) };
}

function toAttributeSearch({ name, value }: AttributeCondition): AttributeSearch {
  const isOneForm = value !== undefined && scalarText(value) === undefined;
  return {
    name,
    value,
    nameJson: JSON.stringify(name),
    valueJson: isOneForm ? JSON.stringify(value) : undefined,
  };
}

/** Finds the records that match a filter, stored ones and those of live tails alike. */
export class Matcher {
  readonly #checks: readonly Check[];

  constructor(filter: LogFilter) {
    this.#checks = listConditions(filter).map((name) => checkFor(name, filter[name]));
  }

  /** Those that {@link match} may read. */
  get columns(): ReadonlySet<FilterColumn> {
    return new Set(this.#checks.flatMap(({ records }) => records?.column ?? []));
  }

  /** The places of the matching records, ascending. */
  match(block: LogBlock): readonly number[] {
    const open: RecordCheck[] = [];
    for (const { ofBatch, records } of this.#checks) {
      const matching = ofBatch?.(block.batch) ?? "some";
      if (matching === "none") return [];
      if (matching === "some" && records !== undefined) open.push(records);
    }
    if (open.some(({ ofBlock }) => ofBlock?.(block) === false)) return [];
    let places = allPlaces(block.count);
    for (const { ofRecord } of open) {
      if (places.length === 0) break;
      places = places.filter((place) => ofRecord(block, place));
    }
    return places;
  }
}

function checkFor<Name extends ConditionName>(name: Name, value: LogFilter[Name]): Check {
  const check: (value: NonNullable<LogFilter[Name]>) => Check = checks[name];
  return check(value as NonNullable<typeof value>);
}

let places: readonly number[] = [];

function allPlaces(count: number): readonly number[] {
  if (places.length < count) places = Array.from({ length: count }, (_, place) => place);
  return places.length === count ? places : places.slice(0, count);
}

/** A tail matches every batch against the same filter. */
const matchers = new WeakMap<LogFilter, Matcher>();

export function matcherFor(filter: LogFilter): Matcher {
  let matcher = matchers.get(filter);
  if (matcher === undefined) matchers.set(filter, (matcher = new Matcher(filter)));
  return matcher;
}
