import { toJsonString } from "@bufbuild/protobuf";
import { type LogEntry, LogEntrySchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { jsonOptions } from "../json-options.ts";

/** A record as ListLogs answers it in JSON, on a line of its own. */
export function ndjsonLine(log: LogEntry): string {
  return `${toJsonString(LogEntrySchema, log, jsonOptions)}\n`;
}
