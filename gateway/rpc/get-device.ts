import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { GetDeviceResponseSchema, type QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { toDeviceInfo } from "../devices/device-info.ts";
import { toDevice } from "../devices/device-row.ts";
import type { DropRow, Range, SessionPosition, SessionRow } from "../devices/device-sessions.ts";
import { readDevice } from "../devices/read-device.ts";
import { readCaller } from "../fairness/caller.ts";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { readCount } from "../fields/page-size.ts";
import { decodePageToken, encodePageToken, type SortKeyValues } from "../fields/page-token.ts";
import { timestampFromMicros } from "../fields/time.ts";
import { readDeviceId, sessionIdForm } from "../logs/read-log-filter.ts";
import type { ReadPool } from "../query/read-pool.ts";

/**
 * Returns one device with its sessions and their missing sequences. Reads at most a page, whatever the device
 * sent.
 */
export function getDevice(readPool: ReadPool): ServiceImpl<typeof QueryService>["getDevice"] {
  return async (request, context) => {
    const deviceId = readDeviceId("device_id", request.deviceId);
    const sessionsMax = readCount("sessions_max", request.sessionsMax, { ifZero: 20, max: 100 });
    const query = `GetDevice ${deviceId}`;
    const after = parseSessionPosition(decodePageToken(query, request.pageToken));
    const found = await readPool.read("get_device", readCaller(context), (db) =>
      readDevice(db, deviceId, { after, sessionsMax }),
    );
    if (found === undefined) {
      throw new ConnectError(`device_id: device ${deviceId} not found`, Code.NotFound);
    }
    const { last, latestMicros } = found;
    const dropsBySession = Map.groupBy(found.drops, (drop) => drop.session_id);
    return create(GetDeviceResponseSchema, {
      device: toDevice(found.device),
      sessions: found.sessions.map((session) => ({
        ...toSession(session),
        drops: dropsBySession.get(session.session_id)?.map(toDropped) ?? [],
      })),
      sessionCount: BigInt(found.sessionCount),
      nextPageToken:
        last === undefined ? "" : encodePageToken(query, [last.first_received_micros, last.session_id]),
      infoHistory: found.infoHistory.map((change) => ({
        receivedAt: timestampFromMicros(BigInt(change.received_micros)),
        info: toDeviceInfo(change),
      })),
      ...(latestMicros !== undefined && { latestTime: timestampFromMicros(latestMicros) }),
    });
  };
}

/** A token may be forged. */
function parseSessionPosition(position: SortKeyValues | undefined): SessionPosition | undefined {
  if (position === undefined) return undefined;
  const [micros = "", sessionId = "", ...more] = position;
  if (!/^-?\d{1,17}$/.test(micros) || !sessionIdForm.test(sessionId) || more.length > 0) {
    throw new InvalidFieldError("page_token", "expected a next_page_token of an earlier response");
  }
  return { firstReceivedMicros: BigInt(micros), sessionId };
}

function toSession(session: SessionRow) {
  return {
    sessionId: session.session_id,
    isServerAssigned: session.session_id.startsWith("~"),
    firstReceivedAt: timestampFromMicros(BigInt(session.first_received_micros)),
    lastReceivedAt: timestampFromMicros(BigInt(session.last_received_micros)),
    batchCount: BigInt(session.batch_count),
    recordCount: BigInt(session.record_count),
    receivedRanges: session.received.map(toRange),
    holes: session.holes.map(toRange),
    missingCount: BigInt(session.missing_count),
    droppedCount: BigInt(session.dropped_count),
    isTruncated: session.is_truncated,
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
