import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { LogEvent } from "kysely";
import {
  type ExplanationSchema,
  ListLogsResponseSchema,
  type QueryService,
} from "#proto/gen/fleetlog/v1/query_pb.ts";
import { type Caller, readCaller } from "../fairness/caller.ts";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { readPageSize } from "../fields/page-size.ts";
import { decodePageToken, encodePageToken } from "../fields/page-token.ts";
import { endedFilter } from "../fields/time-range.ts";
import { explainStatements } from "../logs/explain-statements.ts";
import { createDeviceKeys } from "../logs/find-devices.ts";
import { findLogs, type LogPage, startOf } from "../logs/find-logs.ts";
import { toLogEntry } from "../logs/log-entry.ts";
import { isExpensive } from "../logs/log-filter.ts";
import { type LogPosition, newestFirst, oldestFirst } from "../logs/log-order.ts";
import { describeFilter, readLogFilter } from "../logs/read-log-filter.ts";
import { isTimeout } from "../query/error-mapping.ts";
import type { ReadPool, Work } from "../query/read-pool.ts";

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
    // With explain the first half of the time is for the page, and the rest to run its statements again.
    const patienceMs = readPool.patienceMs / (request.explain ? 2 : 1);
    const find: Work<LogPage> = (db, hasPermit) =>
      // An explanation covers all statements, so cached keys are not used.
      findLogs(db, filter, {
        order,
        after,
        pageSize,
        hasPermit,
        patienceMs,
        ...(!request.explain && { deviceKeys }),
      });
    const { explanation, ...page }: ExplainedPage = request.explain
      ? await explainPage(readPool, readCaller(context), find, startOf(order, filter, after))
      : await readPool.read("list_logs", readCaller(context), find, { isHeavy: isExpensive(asked) });
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

interface ExplainedPage extends LogPage {
  readonly explanation?: MessageInitShape<typeof ExplanationSchema>;
}

/** When the page times out, its statements are explained all the same, without their running again; it continues at `start`. */
async function explainPage(
  readPool: ReadPool,
  caller: Caller,
  find: Work<LogPage>,
  start: LogPosition,
): Promise<ExplainedPage> {
  const statements: LogEvent[] = [];
  const isHeavy = true;
  try {
    const log = (event: LogEvent) => statements.push(event);
    const findAndExplain: Work<ExplainedPage> = async (db, hasPermit) => {
      const page = await find(db, hasPermit);
      return { ...page, explanation: await explainStatements(db, [...statements], readPool.patienceMs / 2) };
    };
    return await readPool.read("list_logs", caller, findAndExplain, { isHeavy, log });
  } catch (error) {
    if (!isTimeout(error)) throw error;
    const explanation = await readPool.read(
      "list_logs",
      caller,
      (db) => explainStatements(db, statements, 0),
      {
        isHeavy,
      },
    );
    return { logs: [], next: start, explanation };
  }
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
const positionForm = /^(-?\d{1,16}|\d{17}) (\d{1,19}) (-1|\d{1,10}) (-?\d{1,18})$/;
const int8Max = 2n ** 63n - 1n;
