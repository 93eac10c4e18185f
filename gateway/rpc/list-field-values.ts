import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import {
  Field,
  type ListFieldValuesRequest,
  ListFieldValuesResponseSchema,
  type QueryService,
} from "#proto/gen/fleetlog/v1/query_pb.ts";
import { readCaller } from "../fairness/caller.ts";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { readPageSize } from "../fields/page-size.ts";
import { dayMicros, readClosedRange } from "../fields/time-range.ts";
import type { LogFilter } from "../logs/log-filter.ts";
import { readLogFilter, readText } from "../logs/read-log-filter.ts";
import { allOf, amongBatches, containsText, recordConditions } from "../logs/record-conditions.ts";
import { sampleBatches } from "../logs/sample-batches.ts";
import type { ReadPool } from "../query/read-pool.ts";

/** Lists the values of a field in the newest matching records: a sample suffices to choose a filter from. */
export function listFieldValues(readPool: ReadPool): ServiceImpl<typeof QueryService>["listFieldValues"] {
  return async (request, context) => {
    const search = readText("search", request.search);
    const limit = readPageSize(request.pageSize);
    const filter = {
      ...readLogFilter(request),
      ...readClosedRange(request, dayMicros, readPool.nowMicros()),
    };
    const value = selectValue(request);
    const found = await readPool.read(
      "list_field_values",
      readCaller(context),
      (db) => selectValues(db, filter, { value, search, limit }),
      { isHeavy: true },
    );
    return create(ListFieldValuesResponseSchema, {
      values: found.map((row) => ({ value: row.value, recordCount: BigInt(row.count) })),
      sampledRecordCount: BigInt(found[0]?.sampled ?? 0),
    });
  };
}

interface Selection {
  readonly value: RawBuilder<string>;
  readonly search: string;
  readonly limit: number;
}

async function selectValues(db: Kysely<Database>, filter: LogFilter, { value, search, limit }: Selection) {
  const ids = await sampleBatches(db, filter, sampledRecordsMax);
  const { rows } = await sql<{ value: string; count: string; sampled: string }>`
    with sampled as materialized (
      select batch_id, logger, ${mergedAttributes} as attributes
      from records join batches on batches.id = batch_id
      where batch_id = any(${ids}::int8[]) and ${allOf(recordConditions(filter, amongBatches(sql`batches.id = any(${ids}::int8[])`)))}
      limit ${sampledRecordsMax}
    ), valued as (select ${value} as value from sampled)
    select value, count(*) as count, (select count(*) from sampled) as sampled
    from valued
    where value <> '' ${search === "" ? sql`` : sql`and ${containsText(sql`value`, search)}`}
    group by value order by count(*) desc, value
    limit ${limit}`.execute(db);
  return rows;
}

function selectValue({ field, attribute }: ListFieldValuesRequest): RawBuilder<string> {
  if (field !== Field.ATTRIBUTE && attribute !== "") {
    throw new InvalidFieldError("attribute", "expected only with field = FIELD_ATTRIBUTE");
  }
  switch (field) {
    case Field.DEVICE_ID:
      return sql`(select device_id from batches join devices on key = device_key where id = batch_id)`;
    case Field.LOGGER:
      return sql`logger`;
    case Field.ATTRIBUTE_NAME:
      return sql`jsonb_object_keys(attributes)`;
    case Field.ATTRIBUTE:
      return sql`attributes ->> ${readText("attribute", attribute, 1)}::text`;
    case Field.UNSPECIFIED:
    default:
      throw new InvalidFieldError(
        "field",
        `${field}, expected one of DEVICE_ID, LOGGER, ATTRIBUTE_NAME, ATTRIBUTE`,
      );
  }
}

/** As the view `logs` has them. */
const mergedAttributes = sql`
  coalesce(batches.attributes || records.attributes, records.attributes, batches.attributes)`;

const sampledRecordsMax = 50_000;
