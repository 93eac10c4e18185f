import type { Row } from "#bench/ratios/row.ts";
import { appendsRow } from "#bench/ratios/rows/appends.ts";
import { codecRow } from "#bench/ratios/rows/codec.ts";
import { dedupeTaxRow } from "#bench/ratios/rows/dedupe-tax.ts";
import { drainRow } from "#bench/ratios/rows/drain.ts";
import { duplicatesRow } from "#bench/ratios/rows/duplicates.ts";
import { endToEndRow } from "#bench/ratios/rows/end-to-end.ts";
import { fastPathRow } from "#bench/ratios/rows/fast-path.ts";
import { idleStreamsRow } from "#bench/ratios/rows/idle-streams.ts";
import { latencyRow } from "#bench/ratios/rows/latency.ts";
import { nginxRow } from "#bench/ratios/rows/nginx.ts";
import { overloadRow } from "#bench/ratios/rows/overload.ts";
import { serverRateRow } from "#bench/ratios/rows/server-rate.ts";
import { smallBatchesRow } from "#bench/ratios/rows/small-batches.ts";
import { storageRow } from "#bench/ratios/rows/storage.ts";

/** Every row by its name for `--rows`, in the order of the page. */
export const rows: Readonly<Record<string, Row>> = {
  "end-to-end": endToEndRow,
  drain: drainRow,
  "small-batches": smallBatchesRow,
  duplicates: duplicatesRow,
  "dedupe-tax": dedupeTaxRow,
  overload: overloadRow,
  latency: latencyRow,
  storage: storageRow,
  ...forSizes("stream", (records) => serverRateRow("StreamLogs", records)),
  ...forSizes("unary", (records) => serverRateRow("PushLogs", records)),
  ...forSizes("connect", (records) => serverRateRow("PushLogsByConnect", records)),
  "fast-path-stream-100": fastPathRow("StreamLogs", 100),
  "fast-path-stream-1": fastPathRow("StreamLogs", 1),
  "fast-path-stream-gzip": fastPathRow("StreamLogs", 100, true),
  "fast-path-unary-100": fastPathRow("PushLogs", 100),
  "fast-path-unary-1": fastPathRow("PushLogs", 1),
  "nginx-stream": nginxRow("StreamLogs"),
  "nginx-unary": nginxRow("PushLogs"),
  appends: appendsRow,
  codec: codecRow,
  "idle-streams": idleStreamsRow,
};

function forSizes(name: string, row: (recordsPerBatch: number) => Row): Record<string, Row> {
  return Object.fromEntries([1, 10, 100].map((records) => [`${name}-${records}`, row(records)]));
}
