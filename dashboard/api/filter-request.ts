import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { parseSearchText } from "../state/search-text.ts";
import { severitiesOf } from "../state/severity-level.ts";
import { type Micros, resolveRange, type TimeRange } from "../state/time-range.ts";
import type { AttributeFilter, LogFilter } from "../state/view.ts";
import { timestampOf } from "./timestamp.ts";

/** The fields 1 to 17 of every request that has a filter. */
export function filterRequest(filter: LogFilter, range: TimeRange, now: Micros) {
  const { from, to } = resolveRange(range, now);
  return { startTime: timestampOf(from), endTime: timestampOf(to), ...timelessRequest(filter) };
}

/** The same fields without the time range. */
export function timelessRequest(filter: LogFilter) {
  const { text, words, excludedText } = parseSearchText(filter.search);
  return {
    deviceIds: [...filter.devices],
    excludedDeviceIds: [...filter.excludedDevices],
    minSeverity: (filter.minLevel?.from ?? 0) as Severity,
    severities: filter.levels.flatMap(severitiesOf) as Severity[],
    loggerPrefix: filter.logger,
    excludedLoggerPrefixes: [...filter.excludedLoggers],
    text,
    words,
    excludedText,
    attributes: filter.attributes.map(conditionOf),
    excludedAttributes: filter.excludedAttributes.map(conditionOf),
    sessionId: filter.session,
  };
}

function conditionOf({ name, value }: AttributeFilter) {
  return value === undefined ? { name } : { name, value };
}
