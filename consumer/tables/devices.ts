import type { Kysely } from "kysely";
import { sql } from "kysely";
import { LRUCache } from "lru-cache";
import type { Pool } from "pg";
import type { Database } from "#postgres/tables.ts";

/** Memory for about 100 bytes each. */
const devicesRememberedMax = 100_000;

/** A device in the stream, and when a server received one of its batches. */
interface Seen {
  readonly deviceId: string;
  readonly receivedAtMicros: number;
}

/**
 * Caches devices.key by device_id. Registers new devices in a transaction of its own, before the flush: cached keys are
 * then always committed, and flushes of several consumers do not wait for one another's new devices.
 *
 * A new connection may lead to another database: a promoted standby that lacks the latest devices, or a restored or empty
 * one. So it clears the cache; reading the keys again is cheap.
 */
export class DeviceKeys {
  readonly #keys = new LRUCache<string, number>({ max: devicesRememberedMax });

  constructor(pool: Pick<Pool, "on">) {
    pool.on("connect", () => this.#keys.clear());
  }

  /** Returns the keys of all these devices, and registers the new ones. */
  async resolve(db: Kysely<Database>, seen: readonly Seen[]): Promise<ReadonlyMap<string, number>> {
    const keys = new Map<string, number>();
    const unknown = new Map<string, number>();
    for (const { deviceId, receivedAtMicros } of seen) {
      const key = this.#keys.get(deviceId);
      if (key === undefined) unknown.set(deviceId, receivedAtMicros);
      else keys.set(deviceId, key);
    }
    if (unknown.size === 0) return keys;
    const remember = (found: readonly { key: number; device_id: string }[]) => {
      for (const { key, device_id } of found) {
        keys.set(device_id, key);
        this.#keys.set(device_id, key);
        unknown.delete(device_id);
      }
    };
    remember(await select(db, [...unknown.keys()]));
    if (unknown.size > 0) {
      await insert(db, unknown);
      remember(await select(db, [...unknown.keys()]));
    }
    return keys;
  }
}

function select(db: Kysely<Database>, deviceIds: readonly string[]) {
  return db
    .selectFrom("devices")
    .select(["key", "device_id"])
    .where("device_id", "=", sql<string>`any(${deviceIds}::text[])`)
    .execute();
}

async function insert(db: Kysely<Database>, seen: ReadonlyMap<string, number>): Promise<void> {
  await sql`
    insert into devices (device_id, first_seen, last_seen)
    select device_id, time_from_micros(micros), time_from_micros(micros)
    from unnest(${[...seen.keys()]}::text[], ${[...seen.values()]}::bigint[]) as seen (device_id, micros)
    order by device_id
    on conflict (device_id) do nothing`.execute(db);
}
