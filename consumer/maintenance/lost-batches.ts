import { type Kysely, sql } from "kysely";
import type { Logger } from "#lib/logger.ts";
import type { Database } from "#postgres/tables.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { holds } from "#stream/may-hold.ts";
import {
  type AppendedBatch,
  countParts,
  readParts,
  removeParts,
  toReports,
  type UnconfirmedReport,
} from "#stream/unconfirmed.ts";
import type { ConsumerMetrics } from "../metrics.ts";

export interface LostBatchesOptions {
  readonly db: Kysely<Database>;
  readonly redis: StreamRedis;
  readonly shards: readonly number[];
  readonly metrics: Pick<ConsumerMetrics, "incidents" | "lost">;
  readonly logger: Logger;
  /** How long a report waits: meanwhile consumers store what they had read, and devices send again what they still have. */
  readonly settleMs?: number;
}

/** The missing batches of a report. */
interface MissingBatches {
  readonly batches: readonly AppendedBatch[];
  /** Earlier batches that may be missing too; the server no longer knows which they were. */
  readonly forgottenCount: number;
}

/**
 * Checks the batches that servers report as possibly lost (stream/unconfirmed.ts): a batch that is neither stored nor in
 * the stream is lost. Each report with lost batches becomes an incident that names devices, sessions and sequences.
 */
export class LostBatches {
  readonly #options: LostBatchesOptions;
  readonly #settleMs: number;
  /** By shard: the length of its list of report parts, and since when it has at least that. */
  readonly #seen = new Map<number, { readonly count: number; readonly since: number }>();

  constructor(options: LostBatchesOptions) {
    this.#options = options;
    this.#settleMs = options.settleMs ?? 10_000;
  }

  /** Throws when Redis or PostgreSQL is unreachable; the next call then reports what this one could not. */
  async check(): Promise<void> {
    const { redis, shards } = this.#options;
    for (const shard of shards) {
      const count = await countParts(redis, shard);
      const seen = this.#seen.get(shard);
      if (count === 0) this.#seen.delete(shard);
      else if (seen === undefined || count < seen.count) {
        this.#seen.set(shard, { count, since: performance.now() });
      } else if (performance.now() - seen.since >= this.#settleMs) {
        await this.#settle(shard, seen.count);
        this.#seen.delete(shard);
      }
    }
  }

  async #settle(shard: number, count: number): Promise<void> {
    const { db, redis, metrics, logger } = this.#options;
    const parts = await readParts(redis, shard, count);
    const unreadable = (text: string) =>
      logger.error({ shard, text: text.slice(0, 100) }, "removed a malformed report of unconfirmed batches");
    const lost = await db.transaction().execute(async (transaction) => {
      // One consumer at a time; the second one finds the incident of the first.
      await sql`select pg_advisory_xact_lock(hashtextextended('fleetlog unconfirmed', ${shard}))`.execute(
        transaction,
      );
      const lost: MissingBatches[] = [];
      for (const report of toReports(parts, unreadable)) {
        const missing = await this.#findMissing(transaction, shard, report);
        if (missing.batches.length > 0 && (await writeIncident(transaction, shard, report.name, missing)))
          lost.push(missing);
      }
      return lost;
    });
    await removeParts(redis, shard, parts);
    for (const { batches, forgottenCount } of lost) {
      const example = batches.slice(0, 10);
      logger.error(
        { shard, count: batches.length, forgottenCount, example },
        "acknowledged batches are lost: neither stored nor in Redis",
      );
      metrics.lost.inc(batches.length);
      metrics.incidents.inc({ kind: "entries_lost" });
    }
  }

  /**
   * An older copy of a stream has the older entries and lacks the newer ones, so a binary search finds the first missing
   * one. The last query excludes batches that were stored meanwhile.
   */
  async #findMissing(
    db: Kysely<Database>,
    shard: number,
    report: UnconfirmedReport,
  ): Promise<MissingBatches> {
    const unstored = await findUnstored(db, report.batches);
    let [first, end] = [0, unstored.length];
    while (first < end) {
      const middle = (first + end) >> 1;
      if (await holds(this.#options.redis, shard, unstored[middle]!.id)) first = middle + 1;
      else end = middle;
    }
    const batches = await findUnstored(db, unstored.slice(first));
    return { batches, forgottenCount: first === 0 ? report.forgottenCount : 0 };
  }
}

const batchesPerQuery = 5_000;

async function findUnstored(
  db: Kysely<Database>,
  batches: readonly AppendedBatch[],
): Promise<readonly AppendedBatch[]> {
  const found: AppendedBatch[] = [];
  for (let from = 0; from < batches.length; from += batchesPerQuery) {
    const some = batches.slice(from, from + batchesPerQuery);
    const { rows } = await sql<{ index: number }>`
      select (position - 1)::int as index
      from unnest(
        ${some.map(({ deviceId }) => deviceId)}::text[],
        ${some.map(({ sessionId }) => sessionId)}::text[],
        ${some.map(({ sequence }) => sequence.toString())}::bigint[]
      ) with ordinality as appended (device_id, session_id, sequence, position)
      where not exists (
        select from devices join batches on batches.device_key = devices.key
        where devices.device_id = appended.device_id
          and batches.session_id = appended.session_id and batches.sequence = appended.sequence
      ) and not exists (
        select from dead_letters dead_letter
        where dead_letter.device_id = appended.device_id and dead_letter.session_id = appended.session_id
          and dead_letter.sequence = appended.sequence and dead_letter.entry is not null
      )
      order by position`.execute(db);
    found.push(...rows.map(({ index }) => some[index]!));
  }
  return found;
}

/** Returns false when the incident exists already. */
async function writeIncident(
  db: Kysely<Database>,
  shard: number,
  report: string,
  { batches, forgottenCount }: MissingBatches,
): Promise<boolean> {
  const ranges = findSequenceRanges(batches);
  const details = {
    shard,
    report,
    count: batches.length,
    forgotten_count: forgottenCount,
    first_id: batches[0]?.id,
    last_id: batches.at(-1)?.id,
    batches: ranges.slice(0, rangesMax),
    ranges: ranges.length,
  };
  const { numAffectedRows } = await sql`
    insert into incidents (kind, details)
    select 'entries_lost', ${JSON.stringify(details)}::jsonb
    where not exists (
      select from incidents
      where kind = 'entries_lost' and details->>'report' = ${report} and at > now() - interval '1 day'
    )`.execute(db);
  return numAffectedRows === 1n;
}

/** The incident names at most this many ranges, the first ones; its count is exact. */
const rangesMax = 1_000;

interface SequenceRange {
  readonly device_id: string;
  readonly session_id: string;
  readonly first: string;
  readonly last: string;
}

function findSequenceRanges(batches: readonly AppendedBatch[]): SequenceRange[] {
  const sessions = Map.groupBy(batches, ({ deviceId, sessionId }) => `${deviceId} ${sessionId}`);
  return [...sessions.values()].flatMap((own) => {
    const { deviceId: device_id, sessionId: session_id } = own[0]!;
    const sequences = [...new Set(own.map(({ sequence }) => sequence))].sort((a, b) => (a < b ? -1 : 1));
    const ranges: { first: bigint; last: bigint }[] = [];
    for (const sequence of sequences) {
      const range = ranges.at(-1);
      if (range?.last === sequence - 1n) range.last = sequence;
      else ranges.push({ first: sequence, last: sequence });
    }
    return ranges.map(({ first, last }) => ({
      device_id,
      session_id,
      first: first.toString(),
      last: last.toString(),
    }));
  });
}
