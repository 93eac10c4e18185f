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

/** How far a shard's stream is, with how many of its entries are not stored yet, at most. */
interface ShardPosition extends StreamPosition {
  readonly waiting: number;
}

/** What happened to a shard's stream between two looks. */
type Change = "group_lost" | "stream_lost" | "stream_rewound";

/**
 * Keeps in PostgreSQL how far the streams in Redis are, and compares: a stream that is behind what was seen, or that
 * does not hold the newest entry that was seen, was deleted or comes from an older copy of Redis's data. What was
 * acknowledged to devices after that copy and not stored is gone. A group that was destroyed alone costs nothing but
 * work: everything in the stream is delivered once more and recognised.
 *
 * A shard that is seen for the first time has no history. Each change is an incident, and one incident: consumers take
 * turns by the lock on the row, and read Redis only when they have it.
 */
export class StreamHistory {
  readonly #parts: StreamHistoryOptions;
  /** What this process wrote last, by shard, so that streams at rest cost no transaction. */
  readonly #written = new Map<number, string>();

  constructor(parts: StreamHistoryOptions) {
    this.#parts = parts;
  }

  /** Throws when Redis or PostgreSQL is unreachable; the next call then reports what this one could not. */
  async check(): Promise<void> {
    const { db, shards, metrics, logger } = this.#parts;
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
    const { redis } = this.#parts;
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
      const kind = now && (await this.#changeOf(seen, now));
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

  /** Where another process of Redis has another epoch, only the newest entry that was seen proves its stream the same. */
  async #changeOf(seen: SeenPosition, now: ShardPosition): Promise<Change | undefined> {
    const { redis } = this.#parts;
    const { shard, lastId } = seen;
    const isOther = now.process !== seen.process;
    const isBehind = now.entriesAdded < seen.entriesAdded;
    if (now.epoch === seen.epoch)
      return isBehind || (isOther && !(await mayHold(redis, shard, lastId))) ? "stream_rewound" : undefined;
    return isBehind || (isOther && !(await holds(redis, shard, lastId))) ? "stream_lost" : "group_lost";
  }
}

type SeenPosition = Awaited<ReturnType<typeof lockPositions>>[number];

/** Rows in the order of their key; other consumers wait until the end of the transaction. */
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
