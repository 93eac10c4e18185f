import type { Redis } from "ioredis";
import { type Kysely, sql } from "kysely";
import type { Logger } from "#lib/logger.ts";
import type { Database } from "#postgres/tables.ts";
import { type InspectedGroup, inspectGroups, markGroups } from "#stream/known-groups.ts";
import type { ConsumerMetrics } from "./metrics.ts";

export interface LostGroupsParts {
  readonly db: Kysely<Database>;
  readonly redis: Pick<Redis, "call" | "xgroup">;
  readonly shards: readonly number[];
  readonly metrics: Pick<ConsumerMetrics, "incidents" | "lostGroups">;
  readonly logger: Logger;
}

/**
 * Looks for groups that somebody destroyed, alone or with their stream, and reports each as an incident. A group that
 * was destroyed costs nothing but work: everything in the stream is delivered once more and recognised. With the
 * stream, what was acknowledged to devices and not stored yet is gone.
 *
 * Reported first and marked afterwards: when this process dies in between, or two consumers look at the same moment,
 * an incident may be there twice, which is better than not at all. Groups of a system that never stored a batch are
 * new because it is.
 */
export class LostGroups {
  readonly #parts: LostGroupsParts;
  readonly #entriesAdded = new Map<number, number>();

  constructor(parts: LostGroupsParts) {
    this.#parts = parts;
  }

  /** Throws when Redis or PostgreSQL is away; the next call then reports what this one could not. */
  async look(): Promise<void> {
    const { redis, shards, metrics, logger } = this.#parts;
    const groups = await inspectGroups(redis, shards);
    const added = groups.filter(({ isNew }) => isNew);
    if (added.length > 0) {
      const lost = await this.#report(added);
      await markGroups(redis, added);
      for (const { kind, shard } of lost) {
        logger.error({ kind, shard }, "somebody took the consumer group of a shard away");
        metrics.lostGroups.inc({ kind });
        metrics.incidents.inc({ kind });
      }
    }
    for (const { shard, entriesAdded } of groups) this.#entriesAdded.set(shard, entriesAdded);
  }

  async #report(groups: readonly InspectedGroup[]) {
    const rows = groups.map(({ shard, entriesAdded, entries }) => {
      const before = this.#entriesAdded.get(shard);
      const kind = before !== undefined && entriesAdded < before ? "stream_lost" : "group_lost";
      const details = { shard, entries, entries_added: entriesAdded, entries_added_before: before ?? null };
      return { kind, shard, details: JSON.stringify(details) };
    });
    const { numAffectedRows } = await sql`
      insert into incidents (kind, details)
      select kind, details
      from unnest(${rows.map(({ kind }) => kind)}::text[], ${rows.map(({ details }) => details)}::jsonb[])
        as lost (kind, details)
      where exists (select from batches)`.execute(this.#parts.db);
    return numAffectedRows === 0n ? [] : rows;
  }
}
