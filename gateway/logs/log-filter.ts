/**
 * The conditions of a query; a record must meet all, and `everything` has none. The cheapest to check come
 * first.
 */
export interface LogFilter {
  /** Empty: any device. */
  readonly deviceIds: readonly string[];
  readonly excludedDeviceIds: readonly string[];
  /** Only with exactly one device: a session is found through its device. */
  readonly sessionId: string | undefined;
  /** Microseconds since 1970, included. */
  readonly startMicros: bigint | undefined;
  /** Microseconds since 1970, excluded. */
  readonly endMicros: bigint | undefined;
  /** Bit s is set when severity s is wanted. */
  readonly severities: number;
  /** In lower-case hex. */
  readonly traceId: string | undefined;
  /** Every logger begins with the empty prefix. */
  readonly loggerPrefix: string;
  readonly excludedLoggerPrefixes: readonly string[];
  readonly attributes: readonly AttributeCondition[];
  readonly excludedAttributes: readonly AttributeCondition[];
  /** Each occurs in the message, in any case. */
  readonly texts: readonly string[];
  /** None occurs in the message, in any case. */
  readonly excludedTexts: readonly string[];
}

export type ConditionName = keyof LogFilter;

/** An attribute that is present, with any value or with what this one means (attributes.ts). */
export interface AttributeCondition {
  readonly name: string;
  readonly value: string | undefined;
}

/** All bits of the severities 0 to 24. */
export const anySeverity = 2 ** 25 - 1;

export const everything: LogFilter = Object.freeze({
  deviceIds: [],
  excludedDeviceIds: [],
  sessionId: undefined,
  startMicros: undefined,
  endMicros: undefined,
  severities: anySeverity,
  traceId: undefined,
  loggerPrefix: "",
  excludedLoggerPrefixes: [],
  attributes: [],
  excludedAttributes: [],
  texts: [],
  excludedTexts: [],
});

/** The conditions that are set. */
export function listConditions(filter: LogFilter): readonly ConditionName[] {
  return (Object.keys(filter) as ConditionName[]).filter((name) => {
    const value = filter[name];
    return Array.isArray(value) ? value.length > 0 : value !== everything[name];
  });
}

interface Traits {
  /** log_statistics, which counts minutes and severities, can answer it. */
  readonly isCounted: boolean;
  /** An index finds its batches, or all batches that are read match. */
  readonly isCheap: boolean;
}

const traits: Readonly<Record<ConditionName, Traits>> = {
  deviceIds: { isCounted: false, isCheap: true },
  excludedDeviceIds: { isCounted: false, isCheap: false },
  sessionId: { isCounted: false, isCheap: false },
  startMicros: { isCounted: true, isCheap: true },
  endMicros: { isCounted: true, isCheap: true },
  severities: { isCounted: true, isCheap: false },
  traceId: { isCounted: false, isCheap: false },
  loggerPrefix: { isCounted: false, isCheap: false },
  excludedLoggerPrefixes: { isCounted: false, isCheap: false },
  attributes: { isCounted: false, isCheap: false },
  excludedAttributes: { isCounted: false, isCheap: false },
  texts: { isCounted: false, isCheap: false },
  excludedTexts: { isCounted: false, isCheap: false },
};

/** Whether log_statistics can answer every condition of the filter; otherwise its records must be counted. */
export function isCounted(filter: LogFilter): boolean {
  return listConditions(filter).every((name) => traits[name].isCounted);
}

/**
 * Whether a page may have to read very many records or batches: the filter has a condition that the ledger
 * cannot decide, or that only some batches meet and no index covers.
 */
export function isExpensive(filter: LogFilter): boolean {
  return listConditions(filter).some((name) => !traits[name].isCheap);
}

/** The bits of the severities of at least `minSeverity`. */
export function severitiesFrom(minSeverity: number): number {
  return anySeverity & ~(2 ** minSeverity - 1);
}

/** The severities whose bits are set. */
export function severityNumbers(severities: number): number[] {
  return Array.from({ length: 25 }, (_, severity) => severity).filter(
    (severity) => (severities & (1 << severity)) !== 0,
  );
}
