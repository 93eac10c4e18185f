import type { Kysely } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { walkBatches } from "./batch-walk.ts";
import type { LogFilter } from "./log-filter.ts";
import { newestFirst } from "./log-order.ts";

/** The ids of the newest batches that may hold matching records: as many as hold `recordsMax` records together. */
export async function sampleBatches(
  db: Kysely<Database>,
  filter: LogFilter,
  recordsMax: number,
): Promise<string[]> {
  const ids: string[] = [];
  let left = recordsMax;
  const edgeMicros = filter.endMicros === undefined ? undefined : filter.endMicros - 1n;
  const walk = { filter, order: newestFirst, edgeMicros, recordsWanted: () => left };
  for await (const { batches } of walkBatches(db, walk)) {
    ids.push(...batches.map(({ id }) => id));
    left -= batches.reduce((sum, batch) => sum + batch.record_count, 0);
    if (left <= 0) break;
  }
  return ids;
}
