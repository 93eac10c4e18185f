import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { type Kysely, sql } from "kysely";
import type { DecodedRecord } from "#batch/batch-records.ts";
import { rareStringFields, stringFields, stringValues } from "#batch/string-fields.ts";
import type { Database } from "#postgres/tables.ts";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { selectMicros, timestamptz } from "../fields/time.ts";
import type { LogFilter } from "./log-filter.ts";
import type { LogOrder, LogPosition } from "./log-order.ts";
import { allOf, type Condition, recordConditions } from "./record-conditions.ts";
import type { WalkedBatch } from "./select-batches.ts";

/** The fields of a record, read from PostgreSQL or from a batch. */
export type RecordValues = Omit<DecodedRecord, "timeUnixNano">;

/** A record with its batch. */
export interface FoundLog extends LogPosition {
  readonly batch: WalkedBatch;
  /** The size of its message and attributes. */
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
  const byId = new Map(batches.map((batch) => [batch.id, batch]));
  const conditions: Condition[] = [
    sql`batch_id = any(${[...byId.keys()]}::int8[])`,
    ...recordConditions(filter),
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
  // Attributes with an escape come as [name, value, …]: of the names of an object V8's JSON.parse misreads some that have
  // one (nodejs/node#63785). All others as they stand, which costs an eighth.
  const direction = sql.raw(order.direction);
  const byPlace = sql`time ${direction}, batch_id ${direction}, idx ${direction}`;
  const { rows } = await sql<Row>`
    select batch_id, idx, severity, ${stringColumns}, bytes, ${selectMicros(sql.ref("time"))} as time_micros,
      case when strpos(attributes::text, '\\') = 0 then attributes::text else (
        select json_agg(item)::text from jsonb_each_text(attributes), unnest(array[key, value]) as item
      ) end as attributes
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
  return rows.map((row) => ({
    timeMicros: BigInt(row.time_micros),
    batchId: BigInt(row.batch_id),
    index: row.idx,
    batch: byId.get(row.batch_id) as WalkedBatch,
    bytes: row.bytes,
    record: {
      severity: row.severity,
      attributes: row.attributes === null ? {} : toAttributes(row.attributes),
      ...stringValues(({ name, isId }) => valueIn(row, name) ?? (isId ? noId : "")),
    },
  }));
}

const stringColumns = sql.join(
  stringFields.map((field) =>
    rareStringFields.includes(field) ? sql`(extra).${sql.ref(field.name)}` : sql.ref(field.name),
  ),
);

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
  /** JSON of an object or of a list. */
  readonly attributes: string | null;
}

/** "__proto__" is an ordinary name to JSON.parse and fromEntries. */
function toAttributes(json: string): JsonObject {
  const items = JSON.parse(json) as JsonObject | JsonValue[];
  if (!Array.isArray(items)) return items;
  const pairs: [string, JsonValue][] = [];
  for (let at = 0; at < items.length; at += 2) pairs.push([items[at] as string, items[at + 1] as JsonValue]);
  return Object.fromEntries(pairs);
}
