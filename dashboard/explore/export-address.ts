import type { filterRequest } from "../api/filter-request.ts";
import { writeAttribute } from "../state/view.ts";

export type Asked = ReturnType<typeof filterRequest> & { readonly oldestFirst: boolean };

/** The request of the page's own query as parameters of GET /v1/export. */
export function exportAddress(asked: Asked, format: string): string {
  const parameters = new URLSearchParams({ format });
  const add = (name: string, values: readonly (string | number)[]) =>
    values.forEach((value) => value !== "" && value !== 0 && parameters.append(name, String(value)));
  add("start_time", asked.startTime ? [timeOf(asked.startTime)] : []);
  add("end_time", asked.endTime ? [timeOf(asked.endTime)] : []);
  add("device_ids", asked.deviceIds);
  add("excluded_device_ids", asked.excludedDeviceIds);
  add("session_id", [asked.sessionId]);
  add("min_severity", [asked.minSeverity]);
  add("severities", asked.severities);
  add("text", [asked.text]);
  add("words", [asked.words]);
  add("excluded_text", [asked.excludedText]);
  add("logger_prefix", [asked.loggerPrefix]);
  add("excluded_logger_prefixes", asked.excludedLoggerPrefixes);
  add("attributes", asked.attributes.map(conditionText));
  add("excluded_attributes", asked.excludedAttributes.map(conditionText));
  if (asked.oldestFirst) parameters.set("oldest_first", "true");
  return `/v1/export?${parameters}`;
}

function conditionText(condition: { readonly name: string; readonly value?: string }): string {
  return writeAttribute({ name: condition.name, value: condition.value });
}

/** RFC 3339 with all six digits. */
function timeOf({ seconds, nanos }: { readonly seconds: bigint; readonly nanos: number }): string {
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${text}.${String(Math.round(nanos / 1000)).padStart(6, "0")}Z`;
}
