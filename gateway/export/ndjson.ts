import { toJsonString } from "@bufbuild/protobuf";
import { type LogEntry, LogEntrySchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { jsonOptions } from "../rpc/json-options.ts";

/** A record in the JSON of ListLogs, on one line. */
export function ndjsonLine(log: LogEntry): string {
  return `${toJsonString(LogEntrySchema, log, jsonOptions)}\n`;
}
