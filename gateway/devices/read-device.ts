import { type Kysely, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { infoInFull, readInfoHistory } from "./device-info.ts";
import { type DeviceRow, deviceColumns, deviceDay } from "./device-row.ts";
import {
  countSessions,
  readDrops,
  readLatestTime,
  readSessions,
  type SessionPosition,
} from "./device-sessions.ts";

export interface SessionsPage {
  readonly after: SessionPosition | undefined;
  readonly sessionsMax: number;
}

/** A device with a page of its sessions. The page bounds what is read, whatever the device sent. */
export async function readDevice(
  db: Kysely<Database>,
  deviceId: string,
  { after, sessionsMax }: SessionsPage,
) {
  const { rows } = await sql<DeviceRow>`
    select ${deviceColumns}, ${infoInFull} from devices, ${deviceDay} where device_id = ${deviceId}`.execute(
    db,
  );
  const [device] = rows;
  if (device === undefined) return undefined;
  const found = await readSessions(db, device.key, after, sessionsMax + 1);
  const sessions = found.slice(0, sessionsMax);
  const ids = sessions.map(({ session_id }) => session_id);
  return {
    device,
    sessions,
    /** Where the next page begins; undefined: this is the last. */
    last: found.length > sessionsMax ? sessions.at(-1) : undefined,
    sessionCount: await countSessions(db, device.key),
    latestMicros: await readLatestTime(db, device.key),
    drops: await readDrops(db, device.key, ids),
    infoHistory: await readInfoHistory(db, device.key),
  };
}
