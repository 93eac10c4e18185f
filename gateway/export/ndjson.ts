import { toJsonString } from "@bufbuild/protobuf";
import { type LogEntry, LogEntrySchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { jsonOptions } from "../rpc/json-options.ts";

/** Records in the JSON of ListLogs, each on one line. */
export function ndjsonLines(logs: readonly LogEntry[]): string {
  return logs.map((log) => `${toJsonString(LogEntrySchema, log, jsonOptions)}\n`).join("");
}
