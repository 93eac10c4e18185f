import { toJsonString } from "@bufbuild/protobuf";
import { LogEntrySchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { jsonOptions } from "../json-options.ts";
import { toLogEntry } from "../logs/log-entry.ts";
import type { FoundLog } from "../logs/read-records.ts";

/** A record as ListLogs answers it in JSON, on a line of its own. */
export function ndjsonLine(log: FoundLog): string {
  return `${toJsonString(LogEntrySchema, toLogEntry(log), jsonOptions)}\n`;
}
