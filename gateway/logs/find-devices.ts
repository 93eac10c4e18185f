import type { Kysely } from "kysely";
import { LRUCache } from "lru-cache";
import type { Database } from "#postgres/tables.ts";
import type { LogFilter } from "./log-filter.ts";

/** The keys of the devices that a filter names. */
export interface ChosenDevices {
  /** Undefined: any device. */
  readonly keys: readonly number[] | undefined;
  readonly excludedKeys: readonly number[];
}

/**
 * Keys that were looked up recently. A device keeps its key and is never deleted, so they are wrong only after
 * the database was replaced by another, for a minute.
 */
export type DeviceKeys = LRUCache<string, number>;

export function createDeviceKeys(): DeviceKeys {
  return new LRUCache({ max: 10_000, ttl: 60_000 });
}

/**
 * Looks up the devices of a filter; "none" when no record can match. A statement of its own: with the keys
 * themselves the planner knows how many batches they have; with a subselect it reads all batches of a busy
 * device and sorts them.
 */
export async function findDevices(
  db: Kysely<Database>,
  { deviceIds, excludedDeviceIds }: Pick<LogFilter, "deviceIds" | "excludedDeviceIds">,
  deviceKeys = createDeviceKeys(),
): Promise<ChosenDevices | "none"> {
  const names = [...deviceIds, ...excludedDeviceIds];
  if (names.length === 0) return { keys: undefined, excludedKeys: [] };
  const keyByName = new Map(names.map((name) => [name, deviceKeys.get(name)]));
  const unknown = names.filter((name) => keyByName.get(name) === undefined);
  if (unknown.length > 0) {
    const rows = await db
      .selectFrom("devices")
      .select(["device_id", "key"])
      .where("device_id", "in", unknown)
      .execute();
    for (const { device_id, key } of rows) {
      keyByName.set(device_id, key);
      deviceKeys.set(device_id, key);
    }
  }
  const known = (ids: readonly string[]) => [...new Set(ids)].flatMap((id) => keyByName.get(id) ?? []);
  const excludedKeys = known(excludedDeviceIds);
  if (deviceIds.length === 0) return { keys: undefined, excludedKeys };
  const keys = known(deviceIds).filter((key) => !excludedKeys.includes(key));
  return keys.length === 0 ? "none" : { keys, excludedKeys: [] };
}
