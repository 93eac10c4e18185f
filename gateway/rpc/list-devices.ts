import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Kysely } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { ListDevicesResponseSchema, type QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { Reader } from "../database.ts";
import { readPageSize } from "../page-size.ts";
import { decodePageToken, encodePageToken } from "../page-token.ts";
import { selectMicros, timestampFromMicros } from "../time.ts";

/** Lists devices by name. A device that appears between two pages is listed if its place is still ahead. */
export function listDevices(reader: Reader): ServiceImpl<typeof QueryService>["listDevices"] {
  return async (request, { signal }) => {
    const pageSize = readPageSize(request.pageSize);
    const [after] = decodePageToken("ListDevices", request.pageToken) ?? [];
    const found = await reader.read("list_devices", signal, (db) => selectDevices(db, after, pageSize + 1));
    const page = found.slice(0, pageSize);
    const last = found.length > pageSize ? page.at(-1) : undefined;
    return create(ListDevicesResponseSchema, {
      devices: page.map((device) => ({
        deviceId: device.device_id,
        firstSeen: timestampFromMicros(BigInt(device.first_seen_micros)),
        lastSeen: timestampFromMicros(BigInt(device.last_seen_micros)),
        batchCount: BigInt(device.batch_count),
        recordCount: BigInt(device.record_count),
        errorCount: BigInt(device.error_count),
        deadLetterCount: BigInt(device.dead_letter_count),
      })),
      nextPageToken: last === undefined ? "" : encodePageToken("ListDevices", [last.device_id]),
    });
  };
}

/** int8 arrives as a decimal string. */
interface DeviceRow {
  readonly device_id: string;
  readonly first_seen_micros: string;
  readonly last_seen_micros: string;
  readonly batch_count: string;
  readonly record_count: string;
  readonly error_count: string;
  readonly dead_letter_count: string;
}

async function selectDevices(
  db: Kysely<Database>,
  after: string | undefined,
  limit: number,
): Promise<DeviceRow[]> {
  let query = db.selectFrom("devices");
  if (after !== undefined) query = query.where("device_id", ">", after);
  return await query
    .select(["device_id", "batch_count", "record_count", "error_count", "dead_letter_count"])
    .select((row) => [
      selectMicros(row.ref("first_seen")).as("first_seen_micros"),
      selectMicros(row.ref("last_seen")).as("last_seen_micros"),
    ])
    .orderBy("device_id")
    .limit(limit)
    .$castTo<DeviceRow>()
    .execute();
}
