import { create, type JsonObject } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { sql } from "kysely";
import { ListIncidentsResponseSchema, type QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { readCaller } from "../fairness/caller.ts";
import { readPageSize } from "../fields/page-size.ts";
import { encodePageToken } from "../fields/page-token.ts";
import { selectMicros, timestampFromMicros } from "../fields/time.ts";
import { readText } from "../logs/read-log-filter.ts";
import { allOf, type Condition } from "../query/conditions.ts";
import type { ReadPool } from "../query/read-pool.ts";
import { readAfterId, readTimedFilter } from "./id-pages.ts";

/** Lists incidents, newest first; rows that arrive between two pages are newer than both. */
export function listIncidents(readPool: ReadPool): ServiceImpl<typeof QueryService>["listIncidents"] {
  return async (request, context) => {
    const pageSize = readPageSize(request.pageSize);
    const kind = readText("kind", request.kind);
    const { deviceId, conditions, description } = readTimedFilter(request);
    const query = `ListIncidents ${description} ${kind}`;
    const after = readAfterId(query, request.pageToken);
    const where: Condition[] = [...conditions];
    if (deviceId !== undefined) where.push(sql`device_id = ${deviceId}`);
    if (kind !== "") where.push(sql`kind = ${kind}`);
    if (after !== undefined) where.push(sql`id < ${after}::int8`);
    const { rows } = await readPool.read(
      "list_incidents",
      readCaller(context),
      (db) =>
        sql<Row>`
        select id, kind, device_id, details, ${selectMicros(sql.ref("at"))} as at_micros
        from incidents left join devices on devices.key = device_key
        where ${allOf(where)} order by id desc limit ${pageSize + 1}`.execute(db),
      { isHeavy: where.length > 0 },
    );
    const page = rows.slice(0, pageSize);
    const last = rows.length > pageSize ? page.at(-1) : undefined;
    return create(ListIncidentsResponseSchema, {
      incidents: page.map((row) => ({
        id: BigInt(row.id),
        time: timestampFromMicros(BigInt(row.at_micros)),
        kind: row.kind,
        deviceId: row.device_id ?? "",
        details: row.details,
      })),
      nextPageToken: last === undefined ? "" : encodePageToken(query, [last.id]),
    });
  };
}

interface Row {
  readonly id: string;
  readonly at_micros: string;
  readonly kind: string;
  readonly device_id: string | null;
  readonly details: JsonObject;
}
