import { Counter, Gauge, Histogram, latencyBuckets, type Registry } from "#lib/metrics.ts";

export type ConsumerMetrics = ReturnType<typeof createMetrics>;

/** Creates the consumer's metrics in `registry`. */
export function createMetrics(registry: Registry) {
  const registers = [registry];
  return {
    flushSeconds: new Histogram({
      name: "fleetlog_flush_seconds",
      help: "Duration of a flush, from its first attempt to its COMMIT",
      buckets: latencyBuckets,
      registers,
    }),
    flushRecords: new Histogram({
      name: "fleetlog_flush_records",
      help: "Records per flush",
      buckets: [1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000],
      registers,
    }),
    records: new Counter({
      name: "fleetlog_consumed_records_total",
      help: "Records by outcome",
      labelNames: ["outcome"],
      registers,
    }),
    batches: new Counter({
      name: "fleetlog_consumed_batches_total",
      help: "Batches by outcome",
      labelNames: ["outcome"],
      registers,
    }),
    recognisedRetries: new Counter({
      name: "fleetlog_otlp_retries_recognised_total",
      help: "Batches of OpenTelemetry senders that are in PostgreSQL already and were skipped: retries, and entries that the stream delivered again",
      registers,
    }),
    retries: new Counter({
      name: "fleetlog_flush_retries_total",
      help: "Failed flush attempts, by SQLSTATE class or connection",
      labelNames: ["class"],
      registers,
    }),
    incidents: new Counter({
      name: "fleetlog_incidents_total",
      help: "Incidents added, by kind",
      labelNames: ["kind"],
      registers,
    }),
    lostGroups: new Counter({
      name: "fleetlog_stream_losses_total",
      help: "Shards whose stream lost data in Redis, by kind: consumer group destroyed (group_lost), stream deleted (stream_lost), or an older copy restored (stream_rewound)",
      labelNames: ["kind"],
      registers,
    }),
    summarizedDeadLetters: new Counter({
      name: "fleetlog_summarized_dead_letters_total",
      help: "Rejected records that are counted in a shared dead letter and not kept, because there were too many",
      registers,
    }),
    droppedBatches: new Counter({
      name: "fleetlog_dropped_batches_total",
      help: "Batches that devices declared as dropped",
      registers,
    }),
    unlikelyArrivals: new Counter({
      name: "fleetlog_received_at_corrections_total",
      help: "Batches whose received_at was implausible by PostgreSQL's clock and was replaced; a server's clock may be wrong",
      registers,
    }),
    reclaimed: new Counter({
      name: "fleetlog_reclaimed_entries_total",
      help: "Entries reclaimed from another consumer that did not acknowledge them",
      registers,
    }),
    lost: new Counter({
      name: "fleetlog_lost_entries_total",
      help: "Entries removed from the stream before they were stored; must be 0",
      registers,
    }),
    trimmed: new Counter({
      name: "fleetlog_trimmed_entries_total",
      help: "Stored entries trimmed from the stream",
      registers,
    }),
    backlog: new Gauge({
      name: "fleetlog_backlog_entries",
      help: "Entries of a shard that no consumer has read; an upper bound while more than 1,000 wait after a restart of Redis",
      labelNames: ["shard"],
      registers,
    }),
    pending: new Gauge({
      name: "fleetlog_pending_entries",
      help: "Entries of a shard that a consumer has read and not acknowledged",
      labelNames: ["shard"],
      registers,
    }),
    oldest: new Gauge({
      name: "fleetlog_oldest_entry_age_seconds",
      help: "Age of the oldest unacknowledged entry of a shard",
      labelNames: ["shard"],
      registers,
    }),
    redisMemory: new Gauge({
      name: "fleetlog_redis_memory_bytes",
      help: "Memory used by Redis",
      registers,
    }),
    redisMemoryMax: new Gauge({
      name: "fleetlog_redis_memory_max_bytes",
      help: "maxmemory of Redis; 0: no limit",
      registers,
    }),
    databaseBytes: new Gauge({
      name: "fleetlog_database_bytes",
      help: "Size of the database on disk, without WAL",
      registers,
    }),
    partitionsAhead: new Gauge({
      name: "fleetlog_partitions_ahead_days",
      help: "Consecutive days after today (UTC) that have a partition; -1: today has none",
      registers,
    }),
    partitions: new Gauge({
      name: "fleetlog_partitions",
      help: "Day partitions by state: open, closed",
      labelNames: ["state"],
      registers,
    }),
    nextDrop: new Gauge({
      name: "fleetlog_next_partition_drop_timestamp_seconds",
      help: "When retention drops the oldest day partition, as a Unix timestamp; NaN: records are kept forever",
      registers,
    }),
    retentionWaits: new Gauge({
      name: "fleetlog_retention_unconfirmed_days",
      help: "Day partitions that retention keeps until an operator confirms the removal",
      registers,
    }),
    droppedPartitions: new Counter({
      name: "fleetlog_dropped_partitions_total",
      help: "Day partitions dropped by retention",
      registers,
    }),
    droppedBytes: new Counter({
      name: "fleetlog_dropped_partition_bytes_total",
      help: "Disk space of the day partitions dropped by retention, with indexes",
      registers,
    }),
    datedRecords: new Counter({
      name: "fleetlog_dated_records_total",
      help: "Records dated anew, because their device learned the time after it had sent them.",
      registers,
    }),
    expiredRows: new Counter({
      name: "fleetlog_expired_rows_total",
      help: "Rows deleted by retention, by table",
      labelNames: ["table"],
      registers,
    }),
    devices: new Gauge({
      name: "fleetlog_devices",
      help: "Devices seen in the last hour, in the last day, ever",
      labelNames: ["seen"],
      registers,
    }),
  };
}
