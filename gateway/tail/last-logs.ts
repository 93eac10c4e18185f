import { sql } from "kysely";
import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { compareIds, idMilliseconds, redisTimeMs } from "#stream/group-info.ts";
import { type StreamPositions, streamStart } from "#stream/tail-reader.ts";
import type { Caller } from "../fairness/caller.ts";
import { matchLogs, toMicros } from "../logs/entry-block.ts";
import { findLogs, type PageRequest } from "../logs/find-logs.ts";
import { toLogEntry } from "../logs/log-entry.ts";
import { isExpensive, type LogFilter } from "../logs/log-filter.ts";
import { newestFirst } from "../logs/log-order.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import type { ReadPool } from "../query/read-pool.ts";
import { committedBefore } from "./committed-before.ts";
import { toGap } from "./missed.ts";
import { type Shown, shownKey } from "./tail.ts";
import type { Gap, Slot } from "./tail-ring.ts";

export interface LastLogsRequest {
  readonly filter: LogFilter;
  readonly count: number;
  /** The slots that were read before the tail followed, and the ids after which they are complete. */
  readonly slots: readonly Slot[];
  readonly coveredAfter: StreamPositions;
  /** The largest lag of data read from PostgreSQL. */
  readonly replicaLagMsMax: number;
  readonly caller: Caller;
}

export interface LastLogs {
  /** By time. */
  readonly logs: readonly LogEntry[];
  readonly shown: Shown;
  /** Set when the backlog was too large to be searched completely. */
  readonly gap: Gap | undefined;
}

/**
 * The newest records before the position from which a tail follows, stored or still in the stream:
 *
 * 1. The tail follows already: nothing that arrives from now on is missed.
 * 2. Redis returns the ids before which all entries are acknowledged, and so committed.
 * 3. PostgreSQL returns the newest records; it has all of those before. Of a long search, those found by then.
 * 4. The ring has the entries that may not be committed. Duplicates are removed; the newest of all are
 *    returned.
 *
 * A batch may be stored between 1 and 3 and so be in PostgreSQL and ahead of the tail: the tail receives the
 * keys of the records that were sent, and omits them.
 */
export async function readLastLogs(
  { readPool, redis }: { readonly readPool: ReadPool; readonly redis: StreamRedis },
  { filter, count, slots, coveredAfter, replicaLagMsMax, caller }: LastLogsRequest,
): Promise<LastLogs> {
  const committed = await Promise.all(coveredAfter.map((_, shard) => committedBefore(redis, shard)));
  const stored = await readPool.read(
    "tail_logs",
    caller,
    (db, hasPermit) => findStored(db, filter, { count, hasPermit, patienceMs: readPool.patienceMs }),
    {
      isHeavy: isExpensive(filter),
    },
  );
  const untilMs = await redisTimeMs(redis, 0);
  const waiting = slots.flatMap((slot) => {
    if (
      "gap" in slot ||
      idMilliseconds(slot.id) < idMilliseconds(committed[slot.shard] ?? streamStart) - replicaLagMsMax
    ) {
      return [];
    }
    return matchLogs(filter, slot).map((log) => ({ log, key: shownKey(log, slot.digest) }));
  });
  const storedKeys = new Set(stored.map(({ key }) => key));
  const last = [...stored, ...waiting.filter(({ key }) => !storedKeys.has(key))]
    .map((one) => ({ ...one, micros: toMicros(one.log.time) }))
    .sort((a, b) => (a.micros < b.micros ? -1 : a.micros > b.micros ? 1 : 0))
    .slice(-count);
  const unseen = coveredAfter.flatMap((id, shard) => {
    const from = committed[shard] ?? streamStart;
    return compareIds(from, id) < 0 ? [[idMilliseconds(from), idMilliseconds(id)] as const] : [];
  });
  return {
    logs: last.map(({ log }) => log),
    shown: { keys: new Set(last.map(({ key }) => key)), untilMs },
    gap:
      unseen.length === 0
        ? undefined
        : toGap(
            Math.min(...unseen.map(([from]) => from)),
            Math.max(...unseen.map(([, to]) => to)),
            "the backlog is larger than the gateway searches",
          ),
  };
}

async function findStored(
  db: ReadDatabase,
  filter: LogFilter,
  { count, ...request }: { readonly count: number } & Pick<PageRequest, "hasPermit" | "patienceMs">,
) {
  const { logs } = await findLogs(db, filter, {
    order: newestFirst,
    after: undefined,
    pageSize: count,
    ...request,
  });
  const ids = [...new Set(logs.map(({ batch }) => batch.id))];
  const { rows } = await sql<{ id: string; digest: Buffer }>`
    select id, digest from batches where id = any(${ids}::int8[])`.execute(db);
  const digests = new Map(rows.map(({ id, digest }) => [id, digest.toString("latin1")]));
  return logs.toReversed().map((found) => {
    const log = toLogEntry(found);
    return { log, key: shownKey(log, digests.get(found.batch.id) ?? "") };
  });
}
