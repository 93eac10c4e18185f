import type { Pool } from "pg";
import type { CopyRows } from "#batch/copy-rows.ts";
import { type Session, withSession } from "#postgres/session.ts";
import type { Place } from "#stream/delivery.ts";
import type { SessionProgress } from "#stream/session-news.ts";
import type { BatchInHand, DeadLetter } from "../received-batch.ts";
import { enterIntoLedger, type NewBatch } from "../tables/batches.ts";
import type { DeadLetterRate } from "../tables/dead-letter-rate.ts";
import { type KeptLetters, keepDeadLetters } from "../tables/dead-letters.ts";
import type { DeviceKeys } from "../tables/devices.ts";
import { reportClocksAhead, reportLostEntries, reportReusedSequences } from "../tables/incidents.ts";
import { copyRecords } from "../tables/records.ts";
import { markReplayed } from "../tables/replayed-letters.ts";
import { keepDrops, settleSessions } from "../tables/sessions.ts";
import { countDevices, countRecords } from "../tables/statistics.ts";

/** What is stored together, or not at all. */
export interface Flush {
  readonly batches: readonly BatchInHand[];
  readonly letters: readonly DeadLetter[];
  readonly lost?: readonly Place[];
}

/** What a committed flush changed. */
export interface Stored {
  readonly batches: number;
  readonly records: number;
  readonly duplicateBatches: number;
  readonly duplicateRecords: number;
  readonly deadLetters: number;
  /** Those of them that are only counted, in a letter of many. */
  readonly countedLetters: number;
  readonly incidents: Readonly<Record<"sequence_reused" | "clock_ahead" | "entries_lost", number>>;
  /** Batches that devices declared as lost. */
  readonly droppedBatches: bigint;
  /** How far the sessions of all batches are settled now. */
  readonly progress: readonly SessionProgress[];
}

/**
 * Writes flushes, one after the other, each in one transaction:
 *
 *     ledger (which batches are new?) → records → drops → dead letters → counts → sessions → incidents → COMMIT
 *
 * Resolved means committed and on disk (the pool's `synchronous_commit` is on). After any throw the same flush may
 * be written again, even when the COMMIT went through and only its answer was lost: the ledger knows its batches.
 */
export class FlushWriter {
  readonly #pool: Pool;
  readonly #deviceKeys: DeviceKeys;
  readonly #rows: CopyRows;
  readonly #letterRate: DeadLetterRate;

  /** `rows` is this writer's own; the writers of a consumer share the others. */
  constructor(pool: Pool, deviceKeys: DeviceKeys, rows: CopyRows, letterRate: DeadLetterRate) {
    this.#pool = pool;
    this.#deviceKeys = deviceKeys;
    this.#rows = rows;
    this.#letterRate = letterRate;
  }

  write(flush: Flush): Promise<Stored> {
    return withSession(this.#pool, (session) => this.#transaction(session, flush, "commit"));
  }

  /** Does all of it but the COMMIT: throws what {@link write} would throw, changes nothing. */
  async rehearse(flush: Flush): Promise<void> {
    await withSession(this.#pool, (session) => this.#transaction(session, flush, "rollback"));
  }

  async #transaction(session: Session, flush: Flush, end: "commit" | "rollback"): Promise<Stored> {
    const deviceKeys = await this.#deviceKeys.resolve(
      session.db,
      settledBy(flush).map(({ entry }) => entry),
    );
    const transaction = await session.db.startTransaction().execute();
    const { stored, kept } = await this.#write({ ...session, db: transaction }, flush, deviceKeys);
    await transaction[end]().execute();
    if (end === "commit") for (const [deviceId, count] of kept.spent) this.#letterRate.spend(deviceId, count);
    return stored;
  }

  async #write(
    { db, client }: Session,
    flush: Flush,
    deviceKeys: ReadonlyMap<string, number>,
  ): Promise<{ stored: Stored; kept: KeptLetters }> {
    const { batches, letters, lost = [] } = flush;
    const fresh = batches.length === 0 ? [] : await enterIntoLedger(db, batches, deviceKeys);
    if (fresh.length > 0) {
      this.#encode(fresh);
      await copyRecords(client, this.#rows);
    }
    const droppedBatches = await keepDrops(db, fresh);
    const kept = await keepDeadLetters(db, fresh, letters, (deviceId) => this.#letterRate.left(deviceId));
    if (fresh.length > 0) await countDevices(db, fresh);
    const { progress, suspects } = await settleSessions(db, settledBy(flush), fresh, deviceKeys);
    const reused = await reportReusedSequences(db, suspects);
    await markReplayed(db, batches, deviceKeys);
    if (fresh.length > 0) await countRecords(db, this.#rows.statistics);
    const records = sum(fresh, ({ scanned }) => scanned.acceptedCount);
    const stored: Stored = {
      batches: fresh.length,
      records,
      duplicateBatches: batches.length - fresh.length,
      duplicateRecords: sum(batches, ({ scanned }) => scanned.acceptedCount) - records,
      deadLetters: letters.length + sum(fresh, ({ scanned }) => scanned.rejections.length),
      countedLetters: kept.counted,
      incidents: {
        sequence_reused: reused,
        clock_ahead: await reportClocksAhead(db, fresh),
        entries_lost: await reportLostEntries(db, lost),
      },
      droppedBatches,
      progress,
    };
    return { stored, kept };
  }

  #encode(batches: readonly NewBatch[]): void {
    this.#rows.clear();
    for (const { scanned, id, entry } of batches) this.#rows.append(scanned, id, entry.receivedAtMicros);
  }
}

/** The batches whose place in their session is settled by this flush, one way or the other. */
function settledBy({ batches, letters }: Flush): readonly BatchInHand[] {
  return [...batches, ...letters.flatMap(({ settles }) => settles ?? [])];
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
