import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { limits } from "#batch/limits.ts";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import {
  type ListLogsRequest,
  ListLogsResponseSchema,
  type LogEntrySchema,
  type QueryService,
} from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { Reader } from "../database.ts";
import { InvalidFieldError, show } from "../invalid-field.ts";
import { findLogs } from "../logs/find-logs.ts";
import type { LogFilter, LogPosition } from "../logs/log-filter.ts";
import type { FoundLog } from "../logs/read-records.ts";
import { readPageSize } from "../page-size.ts";
import { decodePageToken, encodePageToken } from "../page-token.ts";
import { microsFromTimestamp, showMicros, timestampFromMicros } from "../time.ts";

/** Lists records, newest first. A page of large records is short: the token, not the length, says it is the last. */
export function listLogs(reader: Reader): ServiceImpl<typeof QueryService>["listLogs"] {
  return async (request, { signal }) => {
    const pageSize = readPageSize(request.pageSize);
    const filter = readFilter(request);
    const query = describe(filter);
    const after = readPosition(decodePageToken(query, request.pageToken));
    const page = await reader.read("list_logs", signal, (db) => findLogs(db, filter, after, pageSize));
    const last = page.hasMore ? page.logs.at(-1) : undefined;
    return create(ListLogsResponseSchema, {
      logs: page.logs.map(toLogEntry),
      nextPageToken:
        last === undefined
          ? ""
          : encodePageToken(query, [`${last.timeMicros}`, `${last.batchId}`, `${last.index}`]),
    });
  };
}

function readFilter(request: ListLogsRequest): LogFilter {
  const { deviceId, minSeverity, text } = request;
  if (deviceId !== "" && !deviceIdForm.test(deviceId)) {
    throw new InvalidFieldError(
      "device_id",
      `${show(deviceId)}, wanted 1 to ${limits.deviceIdBytesMax} characters of A-Z a-z 0-9 . _ : -`,
    );
  }
  if (minSeverity < 0 || minSeverity > limits.severityMax) {
    throw new InvalidFieldError("min_severity", `${minSeverity}, wanted 0 to ${limits.severityMax}`);
  }
  if (text.length > textCharactersMax) {
    throw new InvalidFieldError("text", `${text.length} characters, wanted at most ${textCharactersMax}`);
  }
  if (text.includes("\0") || !text.isWellFormed()) {
    throw new InvalidFieldError(
      "text",
      `${show(text)}, wanted text without NUL, as no stored message has one`,
    );
  }
  const startMicros = request.startTime && microsFromTimestamp("start_time", request.startTime);
  const endMicros = request.endTime && microsFromTimestamp("end_time", request.endTime);
  if (startMicros !== undefined && endMicros !== undefined && endMicros < startMicros) {
    throw new InvalidFieldError(
      "end_time",
      `${showMicros(endMicros)} is before start_time ${showMicros(startMicros)}, wanted start_time or later`,
    );
  }
  return { deviceId: deviceId || undefined, minSeverity, startMicros, endMicros, text };
}

/** Equal for two requests exactly when the pages of one continue those of the other. */
function describe({ deviceId, minSeverity, startMicros, endMicros, text }: LogFilter): string {
  return ["ListLogs", deviceId ?? "", minSeverity, startMicros ?? "", endMicros ?? "", text].join("\0");
}

/** The checksum of a token can be forged, so what comes out of it is not trusted to be numbers. */
function readPosition(position: readonly string[] | undefined): LogPosition | undefined {
  if (position === undefined) return undefined;
  const [, timeMicros, batchId, index] = positionForm.exec(position.join(" ")) ?? [];
  if (timeMicros === undefined || batchId === undefined || BigInt(batchId) > int8Max) {
    throw new InvalidFieldError("page_token", "wanted a next_page_token as it was given");
  }
  return { timeMicros: BigInt(timeMicros), batchId: BigInt(batchId), index: Number(index) };
}

function toLogEntry(log: FoundLog): MessageInitShape<typeof LogEntrySchema> {
  return {
    time: timestampFromMicros(log.timeMicros),
    receivedAt: timestampFromMicros(BigInt(log.batch.received_micros)),
    deviceId: log.batch.device_id,
    sessionId: log.batch.session_id,
    sequence: BigInt(log.batch.sequence),
    index: log.index,
    severity: log.severity as Severity,
    logger: log.logger,
    message: log.message,
    attributes: log.attributes,
  };
}

/** Times of the years 1653 to 5138: more than 64 bits of nanoseconds since 1970 can say. */
const positionForm = /^(-?\d{1,16}|\d{17}) (\d{1,19}) (\d{1,9})$/;
const int8Max = 2n ** 63n - 1n;
const deviceIdForm = new RegExp(`^[A-Za-z0-9._:-]{1,${limits.deviceIdBytesMax}}$`);
/** Counted as JavaScript counts: most emoji are two. */
const textCharactersMax = 256;
