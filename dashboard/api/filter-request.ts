import type { Message } from "@bufbuild/protobuf";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { LogFilter as FilterMessage } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { parseSearchText } from "../state/search-text.ts";
import { listSeverities } from "../state/severity-level.ts";
import { type Micros, resolveRange, type TimeRange } from "../state/time-range.ts";
import type { AttributeFilter, LogFilter } from "../state/view.ts";
import { toTimestamp } from "./timestamp.ts";

/** The filter and the time range, which every request about stored records has. */
export function filterRequest(filter: LogFilter, range: TimeRange, now: Micros) {
  const { from, to } = resolveRange(range, now);
  return { filter: filterMessage(filter), startTime: toTimestamp(from), endTime: toTimestamp(to) };
}

/** Every field of the message: a new field does not compile until it is added here. */
export function filterMessage(filter: LogFilter) {
  const { text, words, excludedText } = parseSearchText(filter.search);
  return {
    deviceId: "", // among deviceIds
    deviceIds: [...filter.devices],
    excludedDeviceIds: [...filter.excludedDevices],
    sessionId: filter.session,
    minSeverity: (filter.minLevel?.from ?? 0) as Severity,
    severities: filter.levels.flatMap(listSeverities) as Severity[],
    text,
    words,
    excludedText,
    loggerPrefix: filter.logger,
    excludedLoggerPrefixes: [...filter.excludedLoggers],
    attributes: filter.attributes.map(toCondition),
    excludedAttributes: filter.excludedAttributes.map(toCondition),
    traceId: filter.trace,
  } satisfies Record<Exclude<keyof FilterMessage, keyof Message>, unknown>;
}

function toCondition({ name, value }: AttributeFilter) {
  return value === undefined ? { name } : { name, value };
}
