import { type Kysely, sql } from "kysely";
import type { Pool } from "pg";
import type { Logger } from "#lib/logger.ts";
import { databaseTime } from "#postgres/database-time.ts";
import { exclusively } from "#postgres/exclusive.ts";
import { firstBatchIdAt } from "#postgres/partitions.ts";
import type { Database } from "#postgres/tables.ts";
import { mergeSummaries } from "#search/merge-summaries.ts";
import { segmentBytes, segmentsMax, segmentsSlice, sliceMax } from "#search/slices.ts";
import { type Summary, summaryIdsMax } from "#search/summary-writer.ts";
import { insertSummaries } from "../tables/summaries.ts";

/*
 * Merges the search summaries of small flushes, which take up to ten times the room of full ones, and as many rows to read.
 * Those of the same ten minutes, a minute after they were written; one consumer at a time, not while records wait to be
 * stored, in transactions of some dozen summaries: a search sees those before or those after.
 */

export interface MergeOptions {
  readonly pool: Pool;
  /** True while flushes are behind. */
  readonly isBehind: () => Promise<boolean>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Call the returned function every minute or so. */
export function createMerge(options: MergeOptions): (now?: Date) => Promise<void> {
  const { pool, isBehind, logger, signal } = options;
  // What is stored later for the time before is left until the next start.
  let since = 0n;
  return async (now) => {
    await exclusively(pool, "search summaries", async ({ db }) => {
      const openId = firstBatchIdAt((now ?? (await databaseTime(db))).getTime() - openMs);
      // Those of the last ten minutes are merged again with what is added to them.
      for (let next = since; !signal.aborted && !(await isBehind()); ) {
        const window = await nextWindow(db, next, openId);
        since = window ?? openId / summaryIdsMax;
        if (window === undefined) return;
        const { before, after } = await mergeSome(db, window, openId);
        logger.debug({ window: String(window), before, after }, "merged search summaries");
        next = after < before ? window : window + 1n;
      }
    });
  };
}

/** The first ten minutes from `since` on with several summaries below `openId` that are not full. */
async function nextWindow(db: Kysely<Database>, since: bigint, openId: bigint): Promise<bigint | undefined> {
  const { rows } = await sql<{ window: string }>`
    select ${window("first_id")} as window from search_summaries
    where ${isSmall} and first_id >= ${String(since * summaryIdsMax)}::int8 and last_id < ${String(openId)}::int8
    group by 1 having count(*) > 1 order by 1 limit 1`.execute(db);
  const [found] = rows;
  return found && BigInt(found.window);
}

function mergeSome(
  db: Kysely<Database>,
  number: bigint,
  openId: bigint,
): Promise<{ before: number; after: number }> {
  return db.transaction().execute(async (transaction) => {
    const [firstId, endId] = [number * summaryIdsMax, (number + 1n) * summaryIdsMax];
    const { rows } = await sql<{ slice: number; first_id: string; last_id: string; bytes: Buffer }>`
      with small as materialized (
        select first_id from search_summaries
        where ${isSmall} and first_id >= ${String(firstId)}::int8 and first_id < ${String(endId)}::int8
          and last_id < ${String(openId)}::int8
        order by first_id limit ${sql.lit(summariesMax)}
      )
      delete from search_summaries
      where slice = any(array(select generate_series(0, ${sql.lit(sliceMax)})::smallint))
        and first_id >= (select min(first_id) from small) and first_id <= (select max(first_id) from small)
        and first_id in (select first_id from small)
      returning slice, first_id, last_id, bytes`.execute(transaction);
    const small: Summary[] = [...Map.groupBy(rows, ({ first_id }) => first_id).values()].map((slices) => ({
      firstId: BigInt(slices[0]!.first_id),
      lastId: BigInt(slices[0]!.last_id),
      slices: slices.map(({ slice, bytes }) => ({ slice, bytes })),
    }));
    const merged = mergeSummaries(small);
    await insertSummaries(transaction, merged);
    return { before: small.length, after: merged.length };
  });
}

const window = (column: string) => sql`${sql.ref(column)} / ${sql.lit(String(summaryIdsMax))}::int8`;

/** Whether a summary has room for another segment, and lies in ten minutes of the clock. */
const isSmall = sql<boolean>`slice = ${sql.lit(segmentsSlice)}
  and octet_length(bytes) < ${sql.lit(segmentsMax * segmentBytes)} and ${window("first_id")} = ${window("last_id")}`;

/** A batch is stored seconds after it arrived, unless consumers are behind. */
const openMs = 60_000;
/** Merged in one turn of about 15 ms. */
const summariesMax = 64;
