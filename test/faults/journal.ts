import type { BatchError, Rejection } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { SecretRecord } from "./secret-record.ts";

/** One batch in its device's journal. Without an outcome its records may be stored once, or not at all. */
export interface JournalBatch {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: bigint;
  readonly records: readonly SecretRecord[];
  /** `performance.now()` when it was first sent. */
  readonly sentAtMs: number;
  outcome: "none" | "acknowledged" | "refused";
  /** Of an acknowledged batch: the records that were refused by themselves, and why. */
  rejections: ReadonlyMap<number, string>;
}

/** The part of an Ack that is judged. */
interface Outcome {
  readonly accepted: number;
  readonly rejections: readonly Pick<Rejection, "index" | "reason">[];
}

/** What all devices of one run sent and received. The judge trusts no other source. */
export class Journal {
  readonly batches: JournalBatch[] = [];
  /** Outcomes that contradict each other or the batch. */
  readonly contradictions: string[] = [];
  acknowledgedCount = 0;
  refusedCount = 0;

  open(batch: Pick<JournalBatch, "deviceId" | "sessionId" | "sequence" | "records">): JournalBatch {
    const opened: JournalBatch = {
      ...batch,
      sentAtMs: performance.now(),
      outcome: "none",
      rejections: new Map(),
    };
    this.batches.push(opened);
    return opened;
  }

  /** A batch may be acknowledged more than once, when it was sent more than once; the words must be the same. */
  acknowledge(batch: JournalBatch, ack: Outcome): void {
    const rejections = new Map(ack.rejections.map(({ index, reason }) => [index, reason]));
    const name = `${batch.deviceId} ${batch.sessionId} ${batch.sequence}`;
    const bad = batch.records.flatMap(({ isBad }, index) => (isBad ? [index] : []));
    if (
      ack.accepted + rejections.size !== batch.records.length ||
      bad.some((index) => !rejections.has(index))
    ) {
      this.contradictions.push(`${name}: ${ack.accepted} accepted, ${rejections.size} rejected`);
    }
    if (batch.outcome === "acknowledged") return;
    batch.outcome = "acknowledged";
    batch.rejections = rejections;
    this.acknowledgedCount += 1;
  }

  /** The batch as a whole was refused for good. */
  refuse(batch: JournalBatch, error: Pick<BatchError, "message">): void {
    this.contradictions.push(`${batch.deviceId} ${batch.sequence}: refused: ${error.message}`);
    batch.outcome = "refused";
    this.refusedCount += 1;
  }
}
