import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { sql } from "kysely";
import { ListDeadLettersResponseSchema, type QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { readCaller } from "../fairness/caller.ts";
import { readPageSize } from "../fields/page-size.ts";
import { encodePageToken } from "../fields/page-token.ts";
import { selectMicros, timestampFromMicros } from "../fields/time.ts";
import { allOf, type Condition } from "../query/conditions.ts";
import type { ReadPool } from "../query/read-pool.ts";
import { readAfterId, readTimedFilter } from "./id-pages.ts";

/** Lists dead letters, newest first; rows that arrive between two pages are newer than both. */
export function listDeadLetters(readPool: ReadPool): ServiceImpl<typeof QueryService>["listDeadLetters"] {
  return async (request, context) => {
    const pageSize = readPageSize(request.pageSize);
    const { deviceId, conditions, description } = readTimedFilter(request);
    const query = `ListDeadLetters ${description}`;
    const after = readAfterId(query, request.pageToken);
    const where: Condition[] = [...conditions];
    if (deviceId !== undefined) where.push(sql`device_id = ${deviceId}`);
    if (after !== undefined) where.push(sql`id < ${after}::int8`);
    const { rows } = await readPool.read(
      "list_dead_letters",
      readCaller(context),
      (db) =>
        sql<Row>`
        select id, device_id, session_id, sequence, idx, reason, raw_bytes, substr(raw, 1, ${rawShownBytes}) as raw,
          ${selectMicros(sql.ref("at"))} as at_micros, ${selectMicros(sql.ref("received_at"))} as received_micros,
          ${selectMicros(sql.ref("replayed_at"))} as replayed_micros, replayed_batch,
          record_count, is_json
        from dead_letters where ${allOf(where)} order by id desc limit ${pageSize + 1}`.execute(db),
      // Each may be a whole batch, which is decompressed for its first bytes.
      { isHeavy: true },
    );
    const page = rows.slice(0, pageSize);
    const last = rows.length > pageSize ? page.at(-1) : undefined;
    return create(ListDeadLettersResponseSchema, {
      deadLetters: page.map((row) => ({
        id: BigInt(row.id),
        time: timestampFromMicros(BigInt(row.at_micros)),
        ...(row.received_micros !== null && {
          receivedAt: timestampFromMicros(BigInt(row.received_micros)),
        }),
        deviceId: row.device_id ?? "",
        sessionId: row.session_id ?? "",
        sequence: BigInt(row.sequence ?? 0),
        ...(row.idx !== null && { index: row.idx }),
        reason: row.reason,
        raw: row.raw,
        rawSize: BigInt(row.raw_bytes),
        ...(row.replayed_micros !== null && {
          replayedAt: timestampFromMicros(BigInt(row.replayed_micros)),
        }),
        replayedBatchId: BigInt(row.replayed_batch ?? 0),
        recordCount: row.record_count,
        isJson: row.is_json,
        // A streaming decoder omits the part of a split character.
        rawText: row.is_json
          ? new TextDecoder().decode(row.raw, { stream: row.raw.length < row.raw_bytes })
          : "",
      })),
      nextPageToken: last === undefined ? "" : encodePageToken(query, [last.id]),
    });
  };
}

interface Row {
  readonly id: string;
  readonly at_micros: string;
  readonly received_micros: string | null;
  readonly device_id: string | null;
  readonly session_id: string | null;
  readonly sequence: string | null;
  readonly idx: number | null;
  readonly reason: string;
  readonly raw: Buffer;
  readonly raw_bytes: number;
  readonly replayed_micros: string | null;
  readonly replayed_batch: string | null;
  readonly record_count: number;
  readonly is_json: boolean;
}

const rawShownBytes = 1024;
