import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { sql } from "kysely";
import {
  GetDeviceResponseSchema,
  type QueryService,
  type SessionSchema,
} from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { Reader } from "../database.ts";
import { type DeviceRow, deviceColumns, deviceDay, toDevice } from "../devices/device-row.ts";
import { type RangeRow, readRanges, readSessions, type SessionRow } from "../devices/device-sessions.ts";
import { readDeviceId } from "../logs/read-log-filter.ts";
import { readCount } from "../page-size.ts";
import { timestampFromMicros } from "../time.ts";

/** Tells one device, and by its sessions' numbers what of it is missing. */
export function getDevice(reader: Reader): ServiceImpl<typeof QueryService>["getDevice"] {
  return async (request, { signal }) => {
    const deviceId = readDeviceId("device_id", request.deviceId);
    const sessionsMax = readCount("sessions_max", request.sessionsMax, { ifZero: 20, max: 100 });
    const found = await reader.read("get_device", signal, async (db) => {
      const { rows } = await sql<DeviceRow>`
        select ${deviceColumns} from devices, ${deviceDay} where device_id = ${deviceId}`.execute(db);
      const [device] = rows;
      if (device === undefined) return undefined;
      const sessions = await readSessions(db, device.key, sessionsMax);
      const numbered = sessions.map((session) => session.session_id).filter((id) => !isServerNamed(id));
      return { device, sessions, ranges: await readRanges(db, device.key, numbered) };
    });
    if (found === undefined) {
      throw new ConnectError(`device_id: ${deviceId} never sent a batch`, Code.NotFound);
    }
    const rangesOf = Map.groupBy(found.ranges, (range) => range.session_id);
    return create(GetDeviceResponseSchema, {
      device: toDevice(found.device),
      sessions: found.sessions.map((session) => toSession(session, rangesOf.get(session.session_id) ?? [])),
      sessionCount: BigInt(found.sessions[0]?.session_count ?? 0),
    });
  };
}

function toSession(session: SessionRow, ranges: readonly RangeRow[]): MessageInitShape<typeof SessionSchema> {
  const isNamed = isServerNamed(session.session_id);
  return {
    sessionId: session.session_id,
    isServerNamed: isNamed,
    firstReceivedAt: timestampFromMicros(BigInt(session.first_received_micros)),
    lastReceivedAt: timestampFromMicros(BigInt(session.last_received_micros)),
    batchCount: BigInt(session.batch_count),
    recordCount: BigInt(session.record_count),
    received: ranges.map(({ first, last }) => ({ first: BigInt(first), last: BigInt(last) })),
    holes: ranges
      .filter((range) => range.hole_first !== range.first)
      .map((range) => ({ first: BigInt(range.hole_first), last: BigInt(range.first) - 1n })),
    missingCount: isNamed ? 0n : BigInt(session.missing_count),
  };
}

function isServerNamed(sessionId: string): boolean {
  return sessionId.startsWith("~");
}
