import { type Kysely, sql } from "kysely";
import { toJsonText } from "#batch/attribute-value.ts";
import { type DeviceInfo, deviceInfoTexts } from "#batch/device-info.ts";
import { plainColumn, textArray } from "#postgres/array-literal.ts";
import type { Database } from "#postgres/tables.ts";
import type { NewBatch } from "./batches.ts";

/**
 * Notes what new batches say about their devices: in devices, and its changes in device_info_history. Call after the
 * devices' rows are locked, so that flushes take turns.
 */
export async function noteDeviceInfo(db: Kysely<Database>, batches: readonly NewBatch[]): Promise<void> {
  const said = batches.filter(({ scanned }) => scanned.deviceInfo !== undefined);
  if (said.length === 0) return;
  const column = plainColumn(said);
  await sql`
    select note_device_info(device_key, time_from_micros(received_micros), sequence, info::jsonb)
    from (
      select * from unnest(
        ${column(({ deviceKey }) => deviceKey)}::int[],
        ${column(({ entry }) => entry.receivedAtMicros)}::bigint[],
        ${column(({ entry }) => entry.sequence)}::bigint[],
        ${textArray(said.map(({ scanned }) => infoText(scanned.deviceInfo!.decode(scanned.bytes))))}::text[]
      ) as said (device_key, received_micros, sequence, info)
      order by device_key, received_micros, sequence
    ) as said`.execute(db);
}

/** The text of a jsonb, without what the device did not say. */
function infoText(info: DeviceInfo): string {
  const texts = deviceInfoTexts
    .filter((name) => info[name] !== "")
    .map((name) => `${JSON.stringify(name)}:${JSON.stringify(info[name])}`);
  const attributes =
    Object.keys(info.attributes).length > 0 ? [`"attributes":${toJsonText(info.attributes)}`] : [];
  return `{${[...texts, ...attributes].join(",")}}`;
}
