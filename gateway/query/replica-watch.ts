import type { Pool } from "pg";
import type { Logger } from "#lib/logger.ts";
import { Gauge, type Registry } from "#lib/metrics.ts";

export interface ReplicaWatchOptions {
  /** For queries: the primary database, and a streaming replica of it. */
  readonly primary: Pool;
  readonly replica: Pool;
  /** For polling, one connection each, which no query can occupy. */
  readonly pollPools: { readonly primary: Pool; readonly replica: Pool };
  /** A replica that is further behind is not read from. */
  readonly lagMsMax: number;
  readonly registry: Registry;
  readonly logger: Logger;
}

interface Sample {
  readonly atMs: number;
  /** Bytes of WAL that the primary had written by then. */
  readonly lsn: bigint;
}

const pollIntervalMs = 500;

/** Ten minutes: a larger lag is reported as at least that. */
const samplesMax = 1_200;

const writtenSql = "select (pg_current_wal_lsn() - '0/0'::pg_lsn)::text as lsn";
const replayedSql = `select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() - '0/0'::pg_lsn
  else pg_current_wal_lsn() - '0/0'::pg_lsn end::text as lsn`;

/**
 * Decides where to read: from the replica while it answers and is not too far behind; otherwise from the
 * primary; and when the primary is unreachable, from the replica whatever its lag.
 *
 * The lag of the replica is the age of the last WAL position of the primary, polled twice a second, that it has
 * replayed. That needs no synchronised clocks, and detects a replica whose connection to the primary hangs.
 */
export class ReplicaWatch {
  readonly #options: ReplicaWatchOptions;
  readonly #samples: Sample[] = [];
  readonly #lagSeconds: Gauge;
  readonly #isRead: Gauge;
  readonly #timer: NodeJS.Timeout;
  #isPolling = false;
  #reason: string | undefined = "the replica has not been checked yet";

  constructor(options: ReplicaWatchOptions) {
    this.#options = options;
    const registers = [options.registry];
    this.#lagSeconds = new Gauge({
      name: "fleetlog_replica_lag_seconds",
      help: "Replication lag of the read replica; NaN when unknown",
      registers,
    });
    this.#isRead = new Gauge({
      name: "fleetlog_replica_in_use",
      help: "1 while queries read from the replica, 0 while they read from the primary",
      registers,
    });
    this.#timer = setInterval(() => void this.#poll(), pollIntervalMs);
    void this.#poll();
  }

  /** The pool to read from now. */
  get pool(): Pool {
    return this.#reason === undefined ? this.#options.replica : this.#options.primary;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    const { pollPools: lookAt, lagMsMax } = this.#options;
    const written = await readLsn(lookAt.primary, writtenSql);
    const atMs = performance.now();
    const replayed = await readLsn(lookAt.replica, replayedSql);
    this.#isPolling = false;

    if (written instanceof Error && !(replayed instanceof Error))
      return this.#setReason(undefined, Number.NaN);
    if (written instanceof Error)
      return this.#setReason(`neither database is reachable: ${written.message}`, Number.NaN);
    this.#samples.push({ atMs, lsn: written });
    if (this.#samples.length > samplesMax) this.#samples.shift();
    if (replayed instanceof Error) {
      return this.#setReason(`the replica is unreachable: ${replayed.message}`, Number.NaN);
    }
    const lagMs = this.#lagMs(replayed);
    this.#setReason(lagMs > lagMsMax ? `the replica is ${Math.round(lagMs)} ms behind` : undefined, lagMs);
  }

  #lagMs(replayed: bigint): number {
    const reached = this.#samples.findLast(({ lsn }) => lsn <= replayed);
    if (reached === undefined) return performance.now() - this.#samples[0]!.atMs + this.#options.lagMsMax;
    return reached === this.#samples.at(-1) ? 0 : performance.now() - reached.atMs;
  }

  #setReason(reason: string | undefined, lagMs: number): void {
    const { logger } = this.#options;
    this.#lagSeconds.set(lagMs / 1000);
    this.#isRead.set(reason === undefined ? 1 : 0);
    if ((reason === undefined) !== (this.#reason === undefined)) {
      if (reason === undefined) logger.info("reading from the replica");
      else logger.warn({ reason }, "reading from the primary");
    }
    this.#reason = reason;
  }
}

async function readLsn(pool: Pool, statement: string): Promise<bigint | Error> {
  try {
    const { rows } = await pool.query<{ lsn: string }>(statement);
    return BigInt(rows[0]!.lsn);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
