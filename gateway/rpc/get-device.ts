import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { sql } from "kysely";
import { GetDeviceResponseSchema, type QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { Reader } from "../database.ts";
import { type DeviceRow, deviceColumns, deviceDay, toDevice } from "../devices/device-row.ts";
import {
  type DropRow,
  type Range,
  readDrops,
  readRanges,
  readSessions,
  type SessionRanges,
  type SessionRow,
} from "../devices/device-sessions.ts";
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
      return {
        device,
        sessions,
        ranges: await readRanges(db, device.key, numbered),
        drops: await readDrops(db, device.key, numbered),
      };
    });
    if (found === undefined) {
      throw new ConnectError(`device_id: ${deviceId} never sent a batch`, Code.NotFound);
    }
    const rangesOf = new Map(found.ranges.map((ranges) => [ranges.session_id, ranges]));
    const dropsOf = Map.groupBy(found.drops, (drop) => drop.session_id);
    return create(GetDeviceResponseSchema, {
      device: toDevice(found.device),
      sessions: found.sessions.map((session) => ({
        ...toSession(session),
        ...toCompleteness(rangesOf.get(session.session_id)),
        dropped: dropsOf.get(session.session_id)?.map(toDropped) ?? [],
      })),
      sessionCount: BigInt(found.sessions[0]?.session_count ?? 0),
    });
  };
}

function toSession(session: SessionRow) {
  return {
    sessionId: session.session_id,
    isServerNamed: isServerNamed(session.session_id),
    firstReceivedAt: timestampFromMicros(BigInt(session.first_received_micros)),
    lastReceivedAt: timestampFromMicros(BigInt(session.last_received_micros)),
    batchCount: BigInt(session.batch_count),
    recordCount: BigInt(session.record_count),
  };
}

/** Undefined: a server named the session, and nothing can be missing in it. */
function toCompleteness(ranges: SessionRanges | undefined) {
  return {
    received: ranges?.received.map(toRange) ?? [],
    holes: ranges?.holes.map(toRange) ?? [],
    missingCount: BigInt(ranges?.missing_count ?? 0),
    droppedCount: BigInt(ranges?.dropped_count ?? 0),
  };
}

function toRange([first, last]: Range) {
  return { first: BigInt(first), last: BigInt(last) };
}

function toDropped(drop: DropRow) {
  return {
    ...toRange([drop.first_sequence, drop.last_sequence]),
    reason: drop.reason,
    receivedAt: timestampFromMicros(BigInt(drop.received_micros)),
  };
}

function isServerNamed(sessionId: string): boolean {
  return sessionId.startsWith("~");
}
