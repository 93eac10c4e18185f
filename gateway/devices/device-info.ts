import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { createAttributes } from "#proto/attributes.ts";
import type { DeviceInfoSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { selectMicros } from "../fields/time.ts";
import { parseAttributes, selectAttributes } from "../logs/attributes.ts";

/** What a device said about itself; all NULL: nothing. */
export interface InfoRow {
  readonly has_info: boolean;
  readonly firmware: string | null;
  readonly hardware: string | null;
  readonly site: string | null;
  /** For parseAttributes. */
  readonly info_attributes: string | null;
}

/** Without the attributes, which may be half a megabyte for each device of a list. */
export const infoInList: RawBuilder<unknown> = infoColumns(sql`devices.info`, sql`null::text`);
export const infoInFull: RawBuilder<unknown> = selectInfo(sql`devices.info`);

function selectInfo(info: RawBuilder<unknown>) {
  return infoColumns(info, selectAttributes(sql`(${info} -> 'attributes')`));
}

function infoColumns(info: RawBuilder<unknown>, attributes: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`${info} is not null as has_info, ${info} ->> 'firmware' as firmware, ${info} ->> 'hardware' as hardware,
    ${info} ->> 'site' as site, ${attributes} as info_attributes`;
}

export function toDeviceInfo(row: InfoRow): MessageInitShape<typeof DeviceInfoSchema> {
  return {
    firmware: row.firmware ?? "",
    hardware: row.hardware ?? "",
    site: row.site ?? "",
    attributes: createAttributes(
      parseAttributes(row.info_attributes) as Parameters<typeof createAttributes>[0],
    ),
  };
}

/** What a device said from a time on. */
export interface InfoChangeRow extends InfoRow {
  readonly received_micros: string;
}

/** The latest changes first, as many as there are and as fit {@link historyBytesMax}. */
export async function readInfoHistory(db: Kysely<Database>, deviceKey: number): Promise<InfoChangeRow[]> {
  const { rows } = await sql<InfoChangeRow>`
    select ${selectInfo(sql`info`)}, ${selectMicros(sql.ref("received_at"))} as received_micros
    from (
      select *, sum(octet_length(info::text)) over (order by received_at desc, sequence desc) as bytes
      from device_info_history where device_key = ${deviceKey}
    ) as history
    where bytes <= ${historyBytesMax}
    order by received_at desc, sequence desc
    limit ${changesMax}`.execute(db);
  return rows;
}

const changesMax = 100;
const historyBytesMax = 4 * 1024 * 1024;
