import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { sql } from "kysely";
import { backoffMs } from "#lib/backoff.ts";
import type { Caller } from "../fairness/caller.ts";
import { BusyError } from "../fairness/semaphore.ts";
import { findLogs } from "../logs/find-logs.ts";
import type { LogFilter } from "../logs/log-filter.ts";
import type { LogOrder, LogPosition } from "../logs/log-order.ts";
import type { FoundLog } from "../logs/read-blocks.ts";
import { toConnectError } from "../query/error-mapping.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import { QueryTimeoutError, type ReadPool } from "../query/read-pool.ts";

export interface PagesOptions {
  /** The largest number of records in memory. */
  readonly pageSize: number;
  /** A page that finds little ends after this time, well within the query timeout. */
  readonly patienceMs: number;
}

const pagesOptions: PagesOptions = { pageSize: 20_000, patienceMs: 1000 };

/**
 * All matching records in order, a page at a time; a page may be empty. Each record that was stored when the
 * first page was read comes exactly once. Later records are left out, so that the export ends; only a batch
 * with an earlier id, of a consumer that was interrupted, may still be included.
 *
 * Between two pages nothing is held in PostgreSQL, neither a connection nor a snapshot: a slow client hinders
 * neither queries nor vacuum. Each page waits for a permit among the expensive queries. A page that fails
 * because PostgreSQL is unreachable or busy is read again; one that times out is read in smaller pages.
 */
export async function* exportPages(
  readPool: ReadPool,
  filter: LogFilter,
  order: LogOrder,
  caller: Caller,
  options: PagesOptions = pagesOptions,
): AsyncGenerator<readonly FoundLog[]> {
  const read = <T>(work: (db: ReadDatabase) => Promise<T>) =>
    readPool.read("export", caller, work, { isHeavy: true });
  const { signal } = caller;
  let { pageSize } = options;
  let start: Start | undefined;
  let after: LogPosition | undefined;
  let failures = 0;
  for (;;) {
    try {
      start ??= await read(readStart);
      const { batchIdMax, lsn } = start;
      // Many batches overlap the time at which a page begins: one step reads them rather than ten.
      const pageRequest = {
        order,
        after,
        pageSize,
        batchIdMax,
        patienceMs: options.patienceMs,
        firstStepRecords: 4 * pageSize,
      };
      const page = await read(async (db) => {
        await assertNotBefore(db, lsn);
        return await findLogs(db, filter, pageRequest);
      });
      failures = 0;
      yield page.logs;
      if (page.next === undefined) return;
      after = page.next;
    } catch (error) {
      failures += 1;
      // Before the first page the caller still gets an error response.
      if (signal.aborted || after === undefined || failures > failuresMax || !isPassing(error)) throw error;
      if (error instanceof QueryTimeoutError) pageSize = Math.ceil(pageSize / 4);
      await sleep(backoffMs(failures, backoff), undefined, { signal });
    }
  }
}

/** The scope of the export: batches up to this id, as they were when PostgreSQL's WAL was at `lsn`. */
interface Start {
  readonly batchIdMax: bigint;
  readonly lsn: string;
}

async function readStart(db: ReadDatabase): Promise<Start> {
  const { rows } = await sql<{ id: string; lsn: string }>`
    select coalesce(max(id), 0) as id,
      case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() end as lsn
    from batches`.execute(db);
  const [row] = rows;
  return { batchIdMax: BigInt(row?.id ?? 0), lsn: row?.lsn ?? "0/0" };
}

/** Pages may come from different servers. A replica that is behind the start would omit records. */
async function assertNotBefore(db: ReadDatabase, lsn: string): Promise<void> {
  const { rows } = await sql<{ is_behind: boolean }>`
    select pg_is_in_recovery() and pg_last_wal_replay_lsn() < ${lsn}::pg_lsn as is_behind`.execute(db);
  if (rows[0]?.is_behind) throw new BusyError("the replica has not caught up to the start of the export");
}

function isPassing(error: unknown): boolean {
  return passingCodes.has(toConnectError(error).code);
}

const passingCodes = new Set([Code.Unavailable, Code.ResourceExhausted, Code.DeadlineExceeded]);
/** About half a minute in total. */
const failuresMax = 8;
const backoff = { baseMs: 200, capMs: 8000 };
