/** Which records are asked for; all conditions hold at once, and `everything` has none. */
export interface LogFilter {
  /** Empty: any device. */
  readonly deviceIds: readonly string[];
  readonly excludedDeviceIds: readonly string[];
  /** Only with exactly one device: there is no way to a session but through its device. */
  readonly sessionId: string | undefined;
  /** Bit s is set when severity s is wanted. */
  readonly severities: number;
  /** Microseconds since 1970, the first that counts. */
  readonly startMicros: bigint | undefined;
  /** Microseconds since 1970, the first that no longer counts. */
  readonly endMicros: bigint | undefined;
  /** Each is somewhere in the message, whatever its case. */
  readonly texts: readonly string[];
  /** None is anywhere in the message, whatever its case. */
  readonly excludedTexts: readonly string[];
  /** Any logger begins with the empty prefix. */
  readonly loggerPrefix: string;
  readonly excludedLoggerPrefixes: readonly string[];
  readonly attributes: readonly AttributeCondition[];
  readonly excludedAttributes: readonly AttributeCondition[];
  /** Only batches up to this id: those that were stored when it was the highest. Not given: all. */
  readonly batchIdMax?: bigint;
}

/** An attribute that is there, with any value or with this one. */
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
  severities: anySeverity,
  startMicros: undefined,
  endMicros: undefined,
  texts: [],
  excludedTexts: [],
  loggerPrefix: "",
  excludedLoggerPrefixes: [],
  attributes: [],
  excludedAttributes: [],
});

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

/** Whether `filter` asks for nothing but times and severities, which log_statistics counts. */
export function isCounted(filter: LogFilter): boolean {
  const { deviceIds, excludedDeviceIds, texts, excludedTexts, attributes, excludedAttributes } = filter;
  const lists = [deviceIds, excludedDeviceIds, texts, excludedTexts, attributes, excludedAttributes];
  return (
    lists.every((list) => list.length === 0) &&
    filter.loggerPrefix === "" &&
    filter.batchIdMax === undefined &&
    filter.excludedLoggerPrefixes.length === 0
  );
}

/**
 * Whether very many records or batches may have to be looked at for a page: the filter asks for what no batch knows of its
 * records, or for what some batches have and no index leads to.
 */
export function isExpensive(filter: LogFilter): boolean {
  const { texts, excludedTexts, attributes, excludedAttributes, excludedLoggerPrefixes } = filter;
  const lists = [texts, excludedTexts, attributes, excludedAttributes, excludedLoggerPrefixes];
  return (
    filter.loggerPrefix !== "" ||
    lists.some((list) => list.length > 0) ||
    filter.severities !== anySeverity ||
    filter.sessionId !== undefined ||
    filter.excludedDeviceIds.length > 0
  );
}
