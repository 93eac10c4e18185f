import { type Kysely, sql } from "kysely";
import type { Logger } from "#lib/logger.ts";
import type { Database } from "#postgres/tables.ts";
import { readShardBacklog } from "#stream/backlog.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { readPositions, type StreamPosition } from "#stream/epoch.ts";
import { holds, mayHold } from "#stream/may-hold.ts";
import type { ConsumerMetrics } from "../metrics.ts";

export interface StreamHistoryOptions {
  readonly db: Kysely<Database>;
  readonly redis: StreamRedis;
  readonly shards: readonly number[];
  readonly metrics: Pick<ConsumerMetrics, "incidents" | "lostGroups">;
  readonly logger: Logger;
}

/** The position of a shard's stream, and an upper bound for the entries that are not stored yet. */
interface ShardPosition extends StreamPosition {
  readonly waiting: number;
}

/** What happened to a shard's stream between two checks. */
type Change = "group_lost" | "stream_lost" | "stream_rewound";

/**
 * Detects that a stream in Redis lost data, by comparing it with its last position, which PostgreSQL keeps. A stream that
 * is behind that position, or lacks the newest entry seen, was deleted or restored from an older copy of Redis's data:
 * batches that were acknowledged after that copy and not stored are gone. If only the consumer group was destroyed,
 * nothing is lost: the whole stream is delivered again, and the ledger recognises what is stored.
 *
 * A shard without a kept position has no history. Each change is exactly one incident: consumers lock the row first and
 * read Redis only then.
 */
export class StreamHistory {
  readonly #options: StreamHistoryOptions;
  /** The position that this process wrote last, by shard: an unchanged stream costs no transaction. */
  readonly #written = new Map<number, string>();

  constructor(options: StreamHistoryOptions) {
    this.#options = options;
  }

  /** Throws when Redis or PostgreSQL is unreachable; the next call then reports what this one could not. */
  async check(): Promise<void> {
    const { db, shards, metrics, logger } = this.#options;
    const moved = (await this.#read(shards))
      .filter((position) => this.#written.get(position.shard) !== JSON.stringify(position))
      .map(({ shard }) => shard);
    if (moved.length === 0) return;
    const { positions, changes } = await db.transaction().execute(async (transaction) => {
      const before = await lockPositions(transaction, moved);
      const positions = await this.#read(moved);
      const changes = await this.#compare(before, positions);
      await writePositions(transaction, positions);
      await writeIncidents(transaction, changes);
      return { positions, changes };
    });
    for (const position of positions) this.#written.set(position.shard, JSON.stringify(position));
    for (const { kind, details } of changes) {
      logger.error({ kind, ...details }, "a stream lost data in Redis");
      metrics.lostGroups.inc({ kind });
      metrics.incidents.inc({ kind });
    }
  }

  async #read(shards: readonly number[]): Promise<ShardPosition[]> {
    const { redis } = this.#options;
    const positions = await readPositions(redis, shards);
    return Promise.all(
      positions.map(async (position) => {
        const { undelivered, pending } = await readShardBacklog(redis, position.shard, "count");
        return { ...position, waiting: undelivered.atMost + pending };
      }),
    );
  }

  async #compare(before: readonly SeenPosition[], positions: readonly ShardPosition[]) {
    const changes: { readonly kind: Change; readonly details: Readonly<Record<string, unknown>> }[] = [];
    for (const seen of before) {
      const now = positions.find(({ shard }) => shard === seen.shard);
      const kind = now && (await this.#detectChange(seen, now));
      if (now === undefined || kind === undefined) continue;
      const details = {
        shard: seen.shard,
        seen_at: seen.at,
        last_id_before: seen.lastId,
        last_id: now.lastId,
        entries_added_before: seen.entriesAdded,
        entries_added: now.entriesAdded,
        stored_before: seen.storedBefore,
        waiting_before: seen.waiting,
      };
      changes.push({ kind, details });
    }
    return changes;
  }

  /** When another Redis process has another epoch, only the newest entry seen proves that the stream is the same. */
  async #detectChange(seen: SeenPosition, now: ShardPosition): Promise<Change | undefined> {
    const { redis } = this.#options;
    const { shard, lastId } = seen;
    const isOtherProcess = now.process !== seen.process;
    const isBehind = now.entriesAdded < seen.entriesAdded;
    if (now.epoch === seen.epoch) {
      const isRewound = isBehind || (isOtherProcess && !(await mayHold(redis, shard, lastId)));
      return isRewound ? "stream_rewound" : undefined;
    }
    const isLost = isBehind || (isOtherProcess && !(await holds(redis, shard, lastId)));
    return isLost ? "stream_lost" : "group_lost";
  }
}

type SeenPosition = Awaited<ReturnType<typeof lockPositions>>[number];

/** Locks the rows in key order; other consumers wait until the end of the transaction. */
async function lockPositions(db: Kysely<Database>, shards: readonly number[]) {
  const rows = await db
    .selectFrom("stream_positions")
    .selectAll()
    .where("shard", "in", shards)
    .orderBy("shard")
    .forUpdate()
    .execute();
  return rows.map((row) => ({
    shard: row.shard,
    process: row.process,
    epoch: row.epoch,
    lastId: row.last_id,
    entriesAdded: Number(row.entries_added),
    storedBefore: row.stored_before,
    waiting: Number(row.waiting),
    at: row.at,
  }));
}

async function writePositions(db: Kysely<Database>, positions: readonly ShardPosition[]): Promise<void> {
  const rows = positions.map(({ shard, process, epoch, lastId, entriesAdded, storedBefore, waiting }) => ({
    shard,
    process,
    epoch,
    last_id: lastId,
    entries_added: entriesAdded,
    stored_before: storedBefore,
    waiting,
  }));
  await db
    .insertInto("stream_positions")
    .values(rows)
    .onConflict((conflict) =>
      conflict.column("shard").doUpdateSet((row) => ({
        process: row.ref("excluded.process"),
        epoch: row.ref("excluded.epoch"),
        last_id: row.ref("excluded.last_id"),
        entries_added: row.ref("excluded.entries_added"),
        stored_before: row.ref("excluded.stored_before"),
        waiting: row.ref("excluded.waiting"),
        at: sql`now()`,
      })),
    )
    .execute();
}

async function writeIncidents(
  db: Kysely<Database>,
  changes: readonly { readonly kind: string; readonly details: object }[],
): Promise<void> {
  if (changes.length === 0) return;
  const rows = changes.map(({ kind, details }) => ({ kind, details: JSON.stringify(details) }));
  await db.insertInto("incidents").values(rows).execute();
}
