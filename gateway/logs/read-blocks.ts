import type { JsonObject } from "@bufbuild/protobuf";
import type { DecodedRecord } from "#batch/batch-records.ts";
import type { TimeSource } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import type { LogPosition } from "./log-order.ts";
import type { WalkedBatch } from "./select-batches.ts";
import { StoredBatch } from "./stored-batch.ts";
import { type BlockColumn, StoredBlock } from "./stored-block.ts";

/** The fields of a record, read from PostgreSQL or from a batch. */
export interface RecordValues
  extends Omit<DecodedRecord, "timeUnixNano" | "uptimeNano" | "observedTimeUnixNano"> {
  /** 0: unknown. */
  readonly uptimeNanos: bigint;
  readonly observedMicros: bigint | undefined;
  readonly isTextRepaired: boolean;
  readonly timeSource: TimeSource;
}

/** A record with its batch. */
export interface FoundLog extends LogPosition {
  readonly batch: WalkedBatch;
  readonly batchAttributes: JsonObject;
  /** The size of its message and attributes, those of its batch included. */
  readonly bytes: number;
  readonly record: RecordValues;
}

/** In the order in which rows have them. Those that a record needs to be shown. */
export const allColumns: readonly BlockColumn[] = [
  "times",
  "severities",
  "loggers",
  "messages",
  "attributes",
  "indexes",
  "trace_ids",
  "span_ids",
  "event_names",
  "severity_texts",
  "uptimes",
  "observed_times",
  "flags",
];

/**
 * Reads the records of `batches`: calls `onBlock` with each row as it arrives, with those of its columns that are
 * `wanted`; with `firstIndexes` only the rows that begin there. Each set of columns has one text, which PostgreSQL parses
 * once a connection. Its bounds prune partitions when the plan is made for any values.
 */
export async function readBlocks(
  db: ReadDatabase,
  batches: readonly WalkedBatch[],
  wanted: ReadonlySet<BlockColumn>,
  onBlock: (block: StoredBlock) => void,
  firstIndexes?: ReadonlySet<number>,
): Promise<void> {
  if (batches.length === 0) return;
  const byId = new Map<bigint, StoredBatch>();
  let [firstId, lastId] = [BigInt(batches[0]?.id ?? 0), 0n];
  for (const walked of batches) {
    const batch = new StoredBatch(walked);
    byId.set(batch.id, batch);
    if (batch.id < firstId) firstId = batch.id;
    if (batch.id > lastId) lastId = batch.id;
  }
  const columns = allColumns.filter((column) => wanted.has(column));
  const text = `select batch_id, first_index, ${columns.join(", ")} from record_batches
      where batch_id = any ($1::int8[]) and batch_id >= $2::int8 and batch_id <= $3::int8${
        firstIndexes === undefined ? "" : " and first_index = any ($4::int4[])"
      }`;
  const values = [`{${[...byId.keys()].join()}}`, String(firstId), String(lastId)];
  if (firstIndexes !== undefined) values.push(`{${[...firstIndexes].join()}}`);
  await db.readRows(text, values, (row) => {
    const batch = byId.get(row.readBigInt64BE(batchIdAt));
    if (batch !== undefined) onBlock(new StoredBlock(batch, row, columns));
  });
}

export function toFoundLog(block: StoredBlock, place: number): FoundLog {
  const { batch } = block;
  return {
    timeMicros: block.timeMicros(place),
    batchId: batch.id,
    index: block.index(place),
    batch: batch.walked,
    batchAttributes: batch.attributes,
    bytes: block.bytes(place),
    record: block.record(place),
  };
}

/** Behind the number of fields and the length of the first. */
const batchIdAt = 6;
