import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { GetHistogramResponseSchema, type QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { readCaller } from "../fairness/caller.ts";
import { InvalidFieldError } from "../fields/invalid-field.ts";
import { readCount } from "../fields/page-size.ts";
import { timestampFromMicros } from "../fields/time.ts";
import { dayMicros, readClosedRange } from "../fields/time-range.ts";
import { bucketWidth } from "../logs/bucket-width.ts";
import { type BucketCount, countLogs } from "../logs/count-logs.ts";
import { readLogFilter } from "../logs/read-log-filter.ts";
import type { ReadPool } from "../query/read-pool.ts";

/** Counts records by time and severity. */
export function getHistogram(readPool: ReadPool): ServiceImpl<typeof QueryService>["getHistogram"] {
  return async (request, context) => {
    const range = readClosedRange(request, dayMicros, readPool.nowMicros());
    if (range.endMicros - range.startMicros > rangeDaysMax * dayMicros) {
      throw new InvalidFieldError("end_time", `expected at most ${rangeDaysMax} days after start_time`);
    }
    const bucketsMax = readCount("buckets_max", request.bucketsMax, { ifZero: 100, max: 1000 });
    const filter = { ...readLogFilter(request), ...range };
    const width = bucketWidth(range, bucketsMax);
    const { counts, method, sampleDivisor, recordsRead } = await readPool.read(
      "get_histogram",
      readCaller(context),
      (db) => countLogs(db, filter, width),
      { isHeavy: true },
    );
    return create(GetHistogramResponseSchema, {
      buckets: toBuckets(counts),
      bucketSeconds: Number(width / 1_000_000n),
      startTime: timestampFromMicros(range.startMicros),
      endTime: timestampFromMicros(range.endMicros),
      method,
      sampleDivisor,
      readRecordCount: BigInt(recordsRead),
      recordCount: counts.reduce((sum, { count }) => sum + count, 0n),
    });
  };
}

function toBuckets(counts: readonly BucketCount[]) {
  const byStart = Map.groupBy(counts, ({ startMicros }) => startMicros);
  return [...byStart].map(([startMicros, ofBucket]) => ({
    startTime: timestampFromMicros(startMicros),
    counts: ofBucket.map(({ severity, count }) => ({ severity: severity as Severity, recordCount: count })),
  }));
}

const rangeDaysMax = 3660n;
