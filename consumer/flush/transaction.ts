import type { Pool } from "pg";
import { contentSession } from "#batch/content-identity.ts";
import type { CopyRows } from "#batch/copy-rows.ts";
import { type Session, withSession } from "#postgres/session.ts";
import type { EntryPosition } from "#stream/delivery.ts";
import type { SessionProgress } from "#stream/session-progress.ts";
import type { DeadLetter, ReceivedBatch } from "../received-batch.ts";
import { insertNewBatches, type NewBatch } from "../tables/batches.ts";
import type { DeadLetterRate } from "../tables/dead-letter-rate.ts";
import { type InsertedDeadLetters, insertDeadLetters } from "../tables/dead-letters.ts";
import { noteDeviceInfo } from "../tables/device-info.ts";
import type { DeviceKeys } from "../tables/devices.ts";
import { reportClocksAhead, reportLostEntries, reportReusedSequences } from "../tables/incidents.ts";
import { copyRecords } from "../tables/records.ts";
import { markReplayed } from "../tables/replayed-dead-letters.ts";
import { insertDrops, settleSessions } from "../tables/sessions.ts";
import { countDevices, countRecords } from "../tables/statistics.ts";
import { insertSummaries } from "../tables/summaries.ts";
import { insertUndatedBatches } from "../tables/undated-batches.ts";

/** Stored in one transaction: all of it or nothing. */
export interface Flush {
  readonly batches: readonly ReceivedBatch[];
  readonly deadLetters: readonly DeadLetter[];
  readonly lost?: readonly EntryPosition[];
}

/** What one committed transaction changed. */
export interface FlushResult {
  readonly batches: number;
  readonly records: number;
  readonly duplicateBatches: number;
  readonly duplicateRecords: number;
  /** Of the duplicate batches, those that servers name by their content: retries of senders without numbers. */
  readonly recognisedRetries: number;
  readonly deadLetters: number;
  /** Those of them that are only counted, in a dead letter that summarizes several records. */
  readonly summarizedDeadLetters: number;
  readonly incidents: Readonly<Record<"sequence_reused" | "clock_ahead" | "entries_lost", number>>;
  /** Batches that devices declared as dropped. */
  readonly droppedBatches: bigint;
  /** The progress of the sessions of all batches after the commit. */
  readonly progress: readonly SessionProgress[];
}

/**
 * Commits one flush after the other, each in one transaction:
 *
 *     ledger (which batches are new?) → records, search summaries → undated batches → drops → dead letters → statistics → sessions → incidents → COMMIT
 *
 * Resolves once the flush is committed and on disk (the pool sets `synchronous_commit` to on). After any error the same
 * flush may be committed again, even when the COMMIT succeeded and only the reply was lost: the ledger recognises its
 * batches.
 */
export class FlushTransaction {
  readonly #pool: Pool;
  readonly #deviceKeys: DeviceKeys;
  readonly #rows: CopyRows;
  readonly #deadLetterRate: DeadLetterRate;

  /** `rows` is used by this instance alone; the instances of a consumer share the rest. */
  constructor(pool: Pool, deviceKeys: DeviceKeys, rows: CopyRows, deadLetterRate: DeadLetterRate) {
    this.#pool = pool;
    this.#deviceKeys = deviceKeys;
    this.#rows = rows;
    this.#deadLetterRate = deadLetterRate;
  }

  commit(flush: Flush): Promise<FlushResult> {
    return withSession(this.#pool, (session) => this.#run(session, flush, "commit"));
  }

  /** Executes all of it and rolls back: throws what {@link commit} would throw, changes nothing. */
  async dryRun(flush: Flush): Promise<void> {
    await withSession(this.#pool, (session) => this.#run(session, flush, "rollback"));
  }

  async #run(session: Session, flush: Flush, end: "commit" | "rollback"): Promise<FlushResult> {
    const deviceKeys = await this.#deviceKeys.resolve(
      session.db,
      settledBatches(flush).map(({ entry }) => entry),
    );
    const transaction = await session.db.startTransaction().execute();
    const { result, deadLetters } = await this.#write({ ...session, db: transaction }, flush, deviceKeys);
    await transaction[end]().execute();
    if (end === "commit") {
      for (const [deviceId, count] of deadLetters.spent) this.#deadLetterRate.spend(deviceId, count);
    }
    return result;
  }

  async #write(
    { db, client }: Session,
    flush: Flush,
    deviceKeys: ReadonlyMap<string, number>,
  ): Promise<{ result: FlushResult; deadLetters: InsertedDeadLetters }> {
    const { batches, lost = [] } = flush;
    const newBatches = batches.length === 0 ? [] : await insertNewBatches(db, batches, deviceKeys);
    if (newBatches.length > 0) {
      this.#encode(newBatches);
      await copyRecords(client, this.#rows);
      await insertSummaries(db, this.#rows.summary.finish());
    }
    await insertUndatedBatches(db, newBatches);
    const droppedBatches = await insertDrops(db, newBatches);
    const deadLetters = await insertDeadLetters(db, newBatches, flush.deadLetters, (deviceId) =>
      this.#deadLetterRate.left(deviceId),
    );
    if (newBatches.length > 0) await countDevices(db, newBatches);
    await noteDeviceInfo(db, newBatches);
    const { progress, possibleReuses } = await settleSessions(
      db,
      settledBatches(flush),
      newBatches,
      deviceKeys,
    );
    const reused = await reportReusedSequences(db, possibleReuses);
    await markReplayed(db, batches, deviceKeys);
    if (newBatches.length > 0) await countRecords(db, this.#rows.statistics);
    const records = sum(newBatches, ({ scanned }) => scanned.acceptedCount);
    const result: FlushResult = {
      batches: newBatches.length,
      records,
      duplicateBatches: batches.length - newBatches.length,
      duplicateRecords: sum(batches, ({ scanned }) => scanned.acceptedCount) - records,
      recognisedRetries: countNamedByContent(batches) - countNamedByContent(newBatches),
      deadLetters: flush.deadLetters.length + sum(newBatches, ({ scanned }) => scanned.rejections.length),
      summarizedDeadLetters: deadLetters.summarizedRecords,
      incidents: {
        sequence_reused: reused,
        clock_ahead: await reportClocksAhead(db, newBatches),
        entries_lost: await reportLostEntries(db, lost),
      },
      droppedBatches,
      progress,
    };
    return { result, deadLetters };
  }

  #encode(batches: readonly NewBatch[]): void {
    this.#rows.clear();
    for (const { scanned, id, entry } of batches) this.#rows.append(scanned, id, entry);
  }
}

/** The batches whose sequences this flush settles, stored or as a dead letter. */
function settledBatches({ batches, deadLetters }: Flush): readonly ReceivedBatch[] {
  return [...batches, ...deadLetters.flatMap(({ settledBatch }) => settledBatch ?? [])];
}

function countNamedByContent(batches: readonly ReceivedBatch[]): number {
  return batches.filter(({ entry }) => entry.sessionId === contentSession).length;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
