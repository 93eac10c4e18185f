import type { JsonObject } from "@bufbuild/protobuf";
import { type Kysely, sql } from "kysely";
import type { DecodedRecord } from "#batch/batch-records.ts";
import { stringFields, stringValues } from "#batch/string-fields.ts";
import type { Database } from "#postgres/tables.ts";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { TimeSource } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { selectMicros, timestamptz } from "../fields/time.ts";
import { hasAttribute, parseAttributes, selectAttributes } from "./attributes.ts";
import type { LogFilter } from "./log-filter.ts";
import type { LogOrder, LogPosition } from "./log-order.ts";
import { allOf, type Condition, type OfBatches, recordConditions } from "./record-conditions.ts";
import type { WalkedBatch } from "./select-batches.ts";

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

/** Which records of the chosen batches are read. */
export interface Window {
  readonly order: LogOrder;
  readonly after: LogPosition | undefined;
  /** The last record held when the page is full: only records before it can replace it. */
  readonly last: LogPosition | undefined;
  readonly limit: number;
  readonly bytesMax: number;
}

/** The first `limit` matching records of `batches` inside of `window`, in its order; fewer when they are large. */
export async function readRecords(
  db: Kysely<Database>,
  filter: LogFilter,
  batches: readonly WalkedBatch[],
  { order, after, last, limit, bytesMax }: Window,
): Promise<FoundLog[]> {
  if (batches.length === 0) return [];
  const byId = new Map(
    batches.map((batch) => [batch.id, { batch, attributes: parseAttributes(batch.attributes) }]),
  );
  /** They are known here: most statements need not ask for them. */
  const ofBatches: OfBatches = ({ name, value }) => {
    const ids = [...byId].flatMap(([id, { attributes }]) =>
      hasAttribute(attributes, { name, value }) ? [id] : [],
    );
    return ids.length === 0 ? undefined : sql`batch_id = any(${ids}::int8[])`;
  };
  const conditions: Condition[] = [
    sql`batch_id = any(${[...byId.keys()]}::int8[])`,
    ...recordConditions(filter, ofBatches),
  ];
  const isAfter = sql.raw(order.isAfter);
  if (last !== undefined) {
    conditions.push(sql`time ${sql.raw(`${order.isBefore}=`)} ${timestamptz(last.timeMicros)}`);
  }
  if (after !== undefined) {
    const time = timestamptz(after.timeMicros);
    const place = sql`(${time}, ${String(after.batchId)}::int8, ${after.index}::int4)`;
    conditions.push(sql`time ${sql.raw(`${order.isAfter}=`)} ${time}`);
    conditions.push(sql`(time, batch_id, idx) ${isAfter} ${place}`);
  }
  // What takeBytes would drop is not sent to begin with. Measured outside of the LIMIT, so that only its rows are. The
  // sum is up to the row before by its frame: with EXCLUDE each row's would be added up anew, 190 ms for 1,000 rows.
  const direction = sql.raw(order.direction);
  const byPlace = sql`time ${direction}, batch_id ${direction}, idx ${direction}`;
  const { rows } = await sql<Row>`
    select batch_id, idx, severity, ${stringColumns}, bytes, ${selectMicros(sql.ref("time"))} as time_micros,
      uptime, ${selectMicros(sql.ref("observed_time"))} as observed_micros, flags,
      ${selectAttributes(sql`attributes`)} as attributes
    from (
      select *, coalesce(sum(bytes) over (order by ${byPlace} rows between unbounded preceding and 1 preceding), 0) as bytes_before
      from (
        select *, octet_length(message) + octet_length(coalesce(attributes::text, '')) as bytes
        from (
          select * from records where ${allOf(conditions)} order by ${byPlace} limit ${limit}
        ) as found
      ) as measured
    ) as summed
    where bytes_before <= ${bytesMax}
    order by ${byPlace}`.execute(db);
  return rows.map((row) => {
    const { batch, attributes } = byId.get(row.batch_id) as { batch: WalkedBatch; attributes: JsonObject };
    const flags = row.flags ?? 0;
    return {
      timeMicros: BigInt(row.time_micros),
      batchId: BigInt(row.batch_id),
      index: row.idx,
      batch,
      batchAttributes: attributes,
      bytes: row.bytes + (batch.attributes?.length ?? 0),
      record: {
        severity: row.severity,
        attributes: parseAttributes(row.attributes),
        uptimeNanos: BigInt.asUintN(64, BigInt(row.uptime ?? 0)),
        observedMicros: row.observed_micros === null ? undefined : BigInt(row.observed_micros),
        isTextRepaired: (flags & 1) !== 0,
        timeSource: (flags >> 1) as TimeSource,
        ...stringValues(({ name, isId }) => valueIn(row, name) ?? (isId ? noId : "")),
      },
    };
  });
}

const stringColumns = sql.join(stringFields.map(({ name }) => sql.ref(name)));

const noId = new Uint8Array();

function valueIn(row: Row, column: string): string | Buffer | null {
  return row[column as keyof Row] as string | Buffer | null;
}

/** And the columns of {@link stringFields}, NULL where the record has none. */
interface Row {
  readonly batch_id: string;
  readonly idx: number;
  readonly time_micros: string;
  readonly severity: Severity;
  readonly bytes: number;
  readonly uptime: string | null;
  readonly observed_micros: string | null;
  readonly flags: number | null;
  /** For parseAttributes. */
  readonly attributes: string | null;
}
