import { Counter, Gauge, type Registry } from "#lib/metrics.ts";

export function createTailMetrics(registry: Registry) {
  const registers = [registry];
  return {
    open: new Gauge({ name: "fleetlog_tails_open", help: "Live tails that are open", registers }),
    batches: new Counter({
      name: "fleetlog_tail_batches_read_total",
      help: "Batches read from the stream for live tails, once for all of them",
      registers,
    }),
    skipped: new Counter({
      name: "fleetlog_tail_skipped_records_total",
      help: "Records that were left out of a live tail because its client was too slow",
      registers,
    }),
    gaps: new Counter({
      name: "fleetlog_tail_gaps_total",
      help: "Gaps that live tails were told of",
      registers,
    }),
  };
}

export type TailMetrics = ReturnType<typeof createTailMetrics>;
