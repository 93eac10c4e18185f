import { create } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import {
  DeviceOrder,
  ListDevicesResponseSchema,
  type QueryService,
} from "#proto/gen/fleetlog/v1/query_pb.ts";
import { infoInList } from "../devices/device-info.ts";
import { type DeviceRow, deviceColumns, deviceDay, errorRatio, toDevice } from "../devices/device-row.ts";
import { readCaller } from "../fairness/caller.ts";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { readPageSize } from "../fields/page-size.ts";
import { decodePageToken, encodePageToken, type SortKeyValues } from "../fields/page-token.ts";
import { deviceIdForm, readText } from "../logs/read-log-filter.ts";
import { allOf, type Condition, containsText } from "../query/conditions.ts";
import type { ReadPool } from "../query/read-pool.ts";

/**
 * Lists devices. A device that appears or moves between two pages is listed if its position is still ahead.
 */
export function listDevices(readPool: ReadPool): ServiceImpl<typeof QueryService>["listDevices"] {
  return async (request, context) => {
    const pageSize = readPageSize(request.pageSize);
    const selection = {
      search: readText("search", request.search),
      silentMs: request.silentFor && readSilence(request.silentFor),
      sortKey: toSortKey(request.order),
      isDescending: request.descending,
    };
    const query = JSON.stringify([
      "ListDevices",
      { ...selection, sortKey: request.order || DeviceOrder.DEVICE_ID },
    ]);
    const after = parseSortKeyValues(decodePageToken(query, request.pageToken), selection.sortKey);
    const found = await readPool.read(
      "list_devices",
      readCaller(context),
      (db) => selectDevices(db, selection, after, pageSize + 1),
      // Only names have an index: any other order or search reads every device.
      { isHeavy: selection.search !== "" || selection.silentMs !== undefined || !isByName(request.order) },
    );
    const page = found.slice(0, pageSize);
    const last = found.length > pageSize ? page.at(-1) : undefined;
    return create(ListDevicesResponseSchema, {
      devices: page.map(toDevice),
      nextPageToken: last === undefined ? "" : encodePageToken(query, [last.sort_key, last.device_id]),
    });
  };
}

function isByName(order: DeviceOrder): boolean {
  return order === DeviceOrder.UNSPECIFIED || order === DeviceOrder.DEVICE_ID;
}

interface Selection {
  readonly search: string;
  readonly silentMs: number | undefined;
  readonly sortKey: SortKey;
  readonly isDescending: boolean;
}

async function selectDevices(
  db: Kysely<Database>,
  { search, silentMs, sortKey, isDescending }: Selection,
  after: SortKeyValues | undefined,
  limit: number,
) {
  const direction = sql.raw(isDescending ? "desc" : "asc");
  const conditions: Condition[] = [];
  if (search !== "") conditions.push(containsText(sql`device_id`, search));
  if (silentMs !== undefined) {
    conditions.push(sql`last_seen < now() - ${`${silentMs} milliseconds`}::interval`);
  }
  if (after !== undefined) {
    const [value, deviceId] = after;
    const isBeyond = sql.raw(isDescending ? "<" : ">");
    conditions.push(
      sql`(${sortKey.of}, device_id) ${isBeyond} (${value}::text::${sql.raw(sortKey.type)}, ${deviceId}::text)`,
    );
  }
  const { rows } = await sql<DeviceRow & { sort_key: string }>`
    select ${deviceColumns}, ${infoInList}, sort_key
    from (
      select *, ${sortKey.of}::text as sort_key, row_number() over () as place
      from (
        select * from devices where ${allOf(conditions)}
        order by ${sortKey.of} ${direction}, device_id ${direction} limit ${limit}
      ) as page
    ) as devices, ${deviceDay}
    order by place`.execute(db);
  return rows;
}

interface SortKey {
  readonly of: RawBuilder<unknown>;
  readonly type: "text" | "int8" | "float8";
}

/** Each round-trips through its text, for the next page to begin there. */
function toSortKey(order: DeviceOrder): SortKey {
  switch (order) {
    case DeviceOrder.UNSPECIFIED:
    case DeviceOrder.DEVICE_ID:
      return { of: sql`device_id`, type: "text" };
    case DeviceOrder.LAST_SEEN:
      return { of: sql`(extract(epoch from last_seen) * 1000000)::int8`, type: "int8" };
    case DeviceOrder.RECORD_COUNT:
      return { of: sql`record_count`, type: "int8" };
    case DeviceOrder.ERROR_COUNT:
      return { of: sql`error_count`, type: "int8" };
    case DeviceOrder.ERROR_RATIO:
      return { of: errorRatio, type: "float8" };
    default:
      throw new InvalidFieldError("order", `${String(order)}, expected 0 to 5`);
  }
}

function readSilence(duration: Duration): number {
  const ms = durationMs(duration);
  if (ms >= 0 && ms <= silenceDaysMax * 86_400_000) return ms;
  throw new InvalidFieldError("silent_for", `${duration.seconds} s, expected 0 s to ${silenceDaysMax} days`);
}

/** A token may be forged: its values must be valid for PostgreSQL. */
function parseSortKeyValues(
  position: SortKeyValues | undefined,
  { type }: SortKey,
): SortKeyValues | undefined {
  if (position === undefined) return undefined;
  const [value = "", deviceId = "", ...more] = position;
  if (!sortKeyForms[type].test(value) || !deviceIdForm.test(deviceId) || more.length > 0) {
    throw new InvalidFieldError("page_token", "expected a next_page_token of an earlier response");
  }
  return position;
}

/** A ratio of 0 to 1, never so small that its exponent has three digits. */
const sortKeyForms: Readonly<Record<SortKey["type"], RegExp>> = {
  text: deviceIdForm,
  int8: /^-?\d{1,18}$/,
  float8: /^\d{1,3}(\.\d{1,20})?(e-\d{1,2})?$/,
};
const silenceDaysMax = 36_500;
