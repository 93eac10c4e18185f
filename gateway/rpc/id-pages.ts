import { sql } from "kysely";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { decodePageToken } from "../fields/page-token.ts";
import { timestamptz } from "../fields/time.ts";
import { readTimeRange, type TimeFields } from "../fields/time-range.ts";
import { readDeviceId } from "../logs/read-log-filter.ts";
import type { Condition } from "../query/conditions.ts";

/*
 * Pages of tables whose ids rise with the time `at`: dead_letters and incidents.
 */

/** The common conditions, and a text that is equal exactly for equal conditions. */
export function readTimedFilter(request: TimeFields & { readonly deviceId: string }) {
  const deviceId = request.deviceId === "" ? undefined : readDeviceId("device_id", request.deviceId);
  const { startMicros, endMicros } = readTimeRange(request);
  const conditions: Condition[] = [];
  if (startMicros !== undefined) conditions.push(sql`at >= ${timestamptz(startMicros)}`);
  if (endMicros !== undefined) conditions.push(sql`at < ${timestamptz(endMicros)}`);
  return { deviceId, conditions, description: [deviceId, startMicros, endMicros].join(" ") };
}

/** The id of the last row of the page before. */
export function readAfterId(query: string, token: string): string | undefined {
  const [id, ...more] = decodePageToken(query, token) ?? [];
  if (id === undefined) return undefined;
  if (/^\d{1,18}$/.test(id) && more.length === 0) return id;
  throw new InvalidFieldError("page_token", "expected a next_page_token of an earlier response");
}
