import type { Kysely } from "kysely";
import { sql } from "kysely";
import { LRUCache } from "lru-cache";
import type { Pool } from "pg";
import type { Database } from "#postgres/tables.ts";

/** Memory for about 100 bytes each. */
const devicesRememberedMax = 100_000;

/** A device in the stream: its name and when a server had one of its batches. */
interface Seen {
  readonly deviceId: string;
  readonly receivedAtMicros: number;
}

/**
 * devices.key by device_id. New devices are registered in a transaction of their own, before the flush: what is
 * remembered is then committed, and flushes of several consumers do not wait for one another's new devices.
 *
 * A new connection may lead to another database: a standby that took over and lacks the latest devices, or one that
 * was restored or emptied. So it makes all keys forgotten; asking for them again is cheap.
 */
export class DeviceKeys {
  readonly #keys = new LRUCache<string, number>({ max: devicesRememberedMax });

  constructor(pool: Pick<Pool, "on">) {
    pool.on("connect", () => this.#keys.clear());
  }

  /** The keys of all these devices. */
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
