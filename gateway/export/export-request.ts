import { fromJson } from "@bufbuild/protobuf";
import { ListLogsRequestSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { InvalidFieldError, show } from "../fields/invalid-field.ts";
import type { LogFilter } from "../logs/log-filter.ts";
import { type LogOrder, newestFirst, oldestFirst } from "../logs/log-order.ts";
import { readLogFilter } from "../logs/read-log-filter.ts";
import { requestFromQuery } from "../rest/request-from-query.ts";

export const exportFormats = ["ndjson", "csv"] as const;
export type ExportFormat = (typeof exportFormats)[number];

export interface ExportRequest {
  readonly filter: LogFilter;
  readonly order: LogOrder;
  readonly format: ExportFormat;
}

/** Fields of ListLogsRequest that concern one page and have no meaning for an export. */
export const fieldsNotExported: readonly string[] = ["page_size", "page_token", "explain"];

/**
 * The parameters of ListLogs, except those of a page, and `format`. Throws an {@link InvalidFieldError} for the
 * first invalid one.
 */
export function readExportRequest(query: URLSearchParams): ExportRequest {
  const ofLogs = new URLSearchParams(query);
  ofLogs.delete("format");
  const json = requestFromQuery(ListLogsRequestSchema, ofLogs);
  for (const name of fieldsNotExported) {
    if (name in json) throw new InvalidFieldError(name, "not supported: an export has no pages");
  }
  const request = fromJson(ListLogsRequestSchema, json);
  return {
    filter: readLogFilter(request),
    order: request.oldestFirst ? oldestFirst : newestFirst,
    format: readFormat(query.getAll("format")),
  };
}

function readFormat(given: readonly string[]): ExportFormat {
  if (given.length > 1) throw new InvalidFieldError("format", `given ${given.length} times, expected once`);
  const [name = ""] = given;
  const format = name === "" ? "ndjson" : exportFormats.find((one) => one === name);
  if (format !== undefined) return format;
  throw new InvalidFieldError("format", `${show(name)}, expected ${exportFormats.join(" or ")}`);
}
