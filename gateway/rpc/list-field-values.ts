import { create, type JsonValue } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  Field,
  type ListFieldValuesRequest,
  ListFieldValuesResponseSchema,
  type QueryService,
} from "#proto/gen/fleetlog/v1/query_pb.ts";
import { foldCase } from "#search/fold-case.ts";
import { readCaller } from "../fairness/caller.ts";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { readPageSize } from "../fields/page-size.ts";
import { dayMicros, readClosedRange } from "../fields/time-range.ts";
import { readLogFilter, readText } from "../logs/read-log-filter.ts";
import { scanLogs } from "../logs/scan-logs.ts";
import type { BlockColumn, StoredBlock } from "../logs/stored-block.ts";
import { ValueCounts } from "../logs/value-counts.ts";
import type { ReadPool } from "../query/read-pool.ts";

/** Lists the values of a field in the matching records, the newest first, as many as can be read in a while. */
export function listFieldValues(readPool: ReadPool): ServiceImpl<typeof QueryService>["listFieldValues"] {
  return async (request, context) => {
    const search = foldCase(readText("search", request.search));
    const limit = readPageSize(request.pageSize);
    const filter = {
      ...readLogFilter(request),
      ...readClosedRange(request, dayMicros, readPool.nowMicros()),
    };
    const { column, valuesOf } = readField(request);
    const counts = new ValueCounts();
    let matching = 0;
    const { isComplete, recordsRead } = await readPool.read(
      "list_field_values",
      readCaller(context),
      (db) =>
        scanLogs(db, filter, column === undefined ? [] : [column], scanBounds, (block, places) => {
          matching += places.length;
          return places.every((place) => valuesOf(block, place).every((value) => counts.add(value)));
        }),
      { isHeavy: true },
    );
    const isWanted = (value: string) => value !== "" && foldCase(value).includes(search);
    return create(ListFieldValuesResponseSchema, {
      values: counts.top(limit, isWanted).map(({ value, count }) => ({ value, recordCount: BigInt(count) })),
      sampledRecordCount: BigInt(matching),
      isComplete,
      readRecordCount: BigInt(recordsRead),
    });
  };
}

interface ReadField {
  /** The column that it needs beside those of the filter. */
  readonly column?: BlockColumn;
  readonly valuesOf: (block: StoredBlock, place: number) => readonly string[];
}

function readField({ field, attribute }: ListFieldValuesRequest): ReadField {
  if (field !== Field.ATTRIBUTE && attribute !== "") {
    throw new InvalidFieldError("attribute", "expected only with field = FIELD_ATTRIBUTE");
  }
  switch (field) {
    case Field.DEVICE_ID:
      return { valuesOf: ({ batch }) => [batch.deviceId] };
    case Field.LOGGER:
      return { column: "loggers", valuesOf: (block, place) => [block.logger(place)] };
    case Field.ATTRIBUTE_NAME:
      return { column: "attributes", valuesOf: (block, place) => Object.keys(block.attributes(place)) };
    case Field.ATTRIBUTE: {
      const name = readText("attribute", attribute, 1);
      return {
        column: "attributes",
        valuesOf: (block, place) => {
          const attributes = block.attributes(place);
          return Object.hasOwn(attributes, name) ? showValue(attributes[name] as JsonValue) : [];
        },
      };
    }
    case Field.UNSPECIFIED:
    default:
      throw new InvalidFieldError(
        "field",
        `${field}, expected one of DEVICE_ID, LOGGER, ATTRIBUTE_NAME, ATTRIBUTE`,
      );
  }
}

/** As a condition asks for it; null is no value to choose. */
function showValue(value: JsonValue): readonly string[] {
  if (value === null) return [];
  return [typeof value === "string" ? value : JSON.stringify(value)];
}

/** A second on a busy machine. */
const scanBounds = { recordsMax: 2_000_000, patienceMs: 1500 };
