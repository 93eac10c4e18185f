import { Counter, Gauge, Histogram, latencyBuckets, type Registry } from "#lib/metrics.ts";
import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { Refusal } from "./outcome.ts";

export interface IngestMetrics {
  /** Counts a batch as in flight until the returned function is called with the seconds until Redis answered or failed. */
  appending(bytes: number): (seconds: number) => void;
  accepted(acceptedRecords: number, rejectedRecords: number): void;
  refused(code: Refusal["code"]): void;
  /** What a JSON request contained that is not stored as it was sent. */
  json(unknownFields: number, replacedHalves: number): void;
}

export function createIngestMetrics(registry: Registry): IngestMetrics {
  const registers = [registry];
  const batches = new Counter({
    name: "fleetlog_batches_total",
    help: "Batches by outcome.",
    labelNames: ["outcome"],
    registers,
  });
  const records = new Counter({
    name: "fleetlog_records_total",
    help: "Records of accepted batches, by outcome.",
    labelNames: ["outcome"],
    registers,
  });
  const bytes = new Counter({
    name: "fleetlog_batch_bytes_total",
    help: "Bytes of batches appended to Redis.",
    registers,
  });
  const inFlight = new Gauge({
    name: "fleetlog_batches_in_flight",
    help: "Batches being appended to Redis.",
    registers,
  });
  const seconds = new Histogram({
    name: "fleetlog_append_seconds",
    help: "Time from receiving a batch until Redis confirmed the append.",
    buckets: latencyBuckets,
    registers,
  });
  const jsonUnknownFields = new Counter({
    name: "fleetlog_json_unknown_fields_total",
    help: "Unknown keys in JSON requests. Their values are ignored.",
    registers,
  });
  const jsonReplacedHalves = new Counter({
    name: "fleetlog_json_replaced_surrogates_total",
    help: "Lone surrogates (such as \\ud83d of a cut emoji) in JSON requests, stored as U+FFFD.",
    registers,
  });
  // Looking up a label costs more than counting: each is looked up once.
  const acceptedBatches = batches.labels("accepted");
  const acceptedRecords = records.labels("accepted");
  const rejectedRecords = records.labels("rejected");
  const refusedBatches = {
    [BatchErrorCode.INVALID_ARGUMENT]: batches.labels("invalid"),
    [BatchErrorCode.RESOURCE_EXHAUSTED]: batches.labels("overloaded"),
    [BatchErrorCode.UNAVAILABLE]: batches.labels("unavailable"),
  };
  return {
    appending(batchBytes) {
      inFlight.inc();
      bytes.inc(batchBytes);
      return (took) => {
        inFlight.dec();
        seconds.observe(took);
      };
    },
    accepted(accepted, rejected) {
      acceptedBatches.inc();
      acceptedRecords.inc(accepted);
      if (rejected > 0) rejectedRecords.inc(rejected);
    },
    refused: (code) => refusedBatches[code].inc(),
    json(unknownFields, replacedHalves) {
      if (unknownFields > 0) jsonUnknownFields.inc(unknownFields);
      if (replacedHalves > 0) jsonReplacedHalves.inc(replacedHalves);
    },
  };
}
