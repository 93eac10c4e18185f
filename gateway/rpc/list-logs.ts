import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { LogEvent } from "kysely";
import { ListLogsResponseSchema, type QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { readCaller } from "../fairness/caller.ts";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { readPageSize } from "../fields/page-size.ts";
import { decodePageToken, encodePageToken } from "../fields/page-token.ts";
import { endedFilter } from "../fields/time-range.ts";
import { explainStatements } from "../logs/explain-statements.ts";
import { createDeviceKeys } from "../logs/find-devices.ts";
import { findLogs } from "../logs/find-logs.ts";
import { toLogEntry } from "../logs/log-entry.ts";
import { isExpensive } from "../logs/log-filter.ts";
import { type LogPosition, newestFirst, oldestFirst } from "../logs/log-order.ts";
import { describeFilter, readLogFilter } from "../logs/read-log-filter.ts";
import type { ReadPool } from "../query/read-pool.ts";

/** Lists records by time. A page of large records is short: the token, not the length, says it is the last. */
export function listLogs(readPool: ReadPool): ServiceImpl<typeof QueryService>["listLogs"] {
  const deviceKeys = createDeviceKeys();
  return async (request, context) => {
    const pageSize = readPageSize(request.pageSize);
    const asked = readLogFilter(request);
    const order = request.oldestFirst ? oldestFirst : newestFirst;
    const query = `ListLogs ${order.direction} ${describeFilter(asked)}`;
    const place = readPageToken(decodePageToken(query, request.pageToken));
    const after = place?.after;
    // All pages end where the first one did.
    const filter =
      asked.endMicros === undefined && place !== undefined
        ? { ...asked, endMicros: place.endMicros }
        : endedFilter(asked, readPool.nowMicros());
    const statements: LogEvent[] = [];
    const { page, explanation } = await readPool.read(
      "list_logs",
      readCaller(context),
      async (db, hasPermit) => {
        const pageRequest = { order, after, pageSize, hasPermit };
        // An explanation covers all statements, so cached keys are not used.
        const page = await findLogs(
          db,
          filter,
          request.explain ? pageRequest : { ...pageRequest, deviceKeys },
        );
        return {
          page,
          explanation: request.explain ? await explainStatements(db, [...statements]) : undefined,
        };
      },
      {
        isHeavy: isExpensive(asked) || request.explain,
        log: request.explain ? (event) => statements.push(event) : undefined,
      },
    );
    const { next } = page;
    return create(ListLogsResponseSchema, {
      logs: page.logs.map(toLogEntry),
      nextPageToken:
        next === undefined
          ? ""
          : encodePageToken(query, [
              `${next.timeMicros}`,
              `${next.batchId}`,
              `${next.index}`,
              `${filter.endMicros}`,
            ]),
      explanation,
    });
  };
}

/** The checksum of a token can be forged, so its values are not trusted to be numbers. */
function readPageToken(
  position: readonly string[] | undefined,
): { after: LogPosition; endMicros: bigint } | undefined {
  if (position === undefined) return undefined;
  const [, timeMicros = "", batchId = "", index, endMicros = ""] =
    positionForm.exec(position.join(" ")) ?? [];
  if (batchId === "" || BigInt(batchId) > int8Max) {
    throw new InvalidFieldError("page_token", "expected a next_page_token of an earlier response");
  }
  return {
    after: { timeMicros: BigInt(timeMicros), batchId: BigInt(batchId), index: Number(index) },
    endMicros: BigInt(endMicros),
  };
}

/**
 * Times of the years 1653 to 5138: more than 64 bits of nanoseconds since 1970 can express; an end of any year
 * is valid.
 */
const positionForm = /^(-?\d{1,16}|\d{17}) (\d{1,19}) (\d{1,9}) (-?\d{1,18})$/;
const int8Max = 2n ** 63n - 1n;
