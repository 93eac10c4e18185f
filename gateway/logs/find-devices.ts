import type { Kysely } from "kysely";
import type { Database } from "#postgres/tables.ts";
import type { LogFilter } from "./log-filter.ts";

/** The keys of the devices that a filter names. */
export interface ChosenDevices {
  /** Undefined: any device. */
  readonly keys: readonly number[] | undefined;
  readonly excludedKeys: readonly number[];
}

/**
 * Looks up the devices of a filter; "none" when no record can match. A statement of its own, because with the keys
 * themselves the planner knows how many batches they have; with a subselect it reads all batches of a busy one and
 * sorts them.
 */
export async function findDevices(
  db: Kysely<Database>,
  { deviceIds, excludedDeviceIds }: Pick<LogFilter, "deviceIds" | "excludedDeviceIds">,
): Promise<ChosenDevices | "none"> {
  const names = [...deviceIds, ...excludedDeviceIds];
  if (names.length === 0) return { keys: undefined, excludedKeys: [] };
  const rows = await db
    .selectFrom("devices")
    .select(["device_id", "key"])
    .where("device_id", "in", names)
    .execute();
  const keyOf = new Map(rows.map((row) => [row.device_id, row.key]));
  const known = (ids: readonly string[]) => [...new Set(ids)].flatMap((id) => keyOf.get(id) ?? []);
  const excludedKeys = known(excludedDeviceIds);
  if (deviceIds.length === 0) return { keys: undefined, excludedKeys };
  const keys = known(deviceIds).filter((key) => !excludedKeys.includes(key));
  return keys.length === 0 ? "none" : { keys, excludedKeys: [] };
}
