import { Counter, Gauge, type Registry } from "#lib/metrics.ts";

export function createTailMetrics(registry: Registry) {
  const registers = [registry];
  return {
    open: new Gauge({ name: "fleetlog_tails_open", help: "Open live tails", registers }),
    batches: new Counter({
      name: "fleetlog_tail_batches_read_total",
      help: "Batches read from the streams for live tails, once for all tails",
      registers,
    }),
    skipped: new Counter({
      name: "fleetlog_tail_skipped_records_total",
      help: "Records skipped in live tails because the client was too slow",
      registers,
    }),
    gaps: new Counter({
      name: "fleetlog_tail_gaps_total",
      help: "Gaps reported in live tails",
      registers,
    }),
  };
}

export type TailMetrics = ReturnType<typeof createTailMetrics>;
