import { Counter, Gauge, Histogram, latencyBuckets, type Registry } from "#lib/metrics.ts";

export type ConsumerMetrics = ReturnType<typeof createMetrics>;

/** What the consumer counts, in the registry it serves. */
export function createMetrics(registry: Registry) {
  const registers = [registry];
  return {
    flushSeconds: new Histogram({
      name: "fleetlog_flush_seconds",
      help: "From the first attempt of a flush to its COMMIT",
      buckets: latencyBuckets,
      registers,
    }),
    flushRecords: new Histogram({
      name: "fleetlog_flush_records",
      help: "Records in one flush",
      buckets: [1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000],
      registers,
    }),
    records: new Counter({
      name: "fleetlog_consumed_records_total",
      help: "Records by what became of them",
      labelNames: ["outcome"],
      registers,
    }),
    batches: new Counter({
      name: "fleetlog_consumed_batches_total",
      help: "Batches by what became of them",
      labelNames: ["outcome"],
      registers,
    }),
    retries: new Counter({
      name: "fleetlog_flush_retries_total",
      help: "Failed attempts to store, by SQLSTATE class or connection",
      labelNames: ["class"],
      registers,
    }),
    incidents: new Counter({
      name: "fleetlog_incidents_total",
      help: "Rows added to the table incidents, by kind",
      labelNames: ["kind"],
      registers,
    }),
    lostGroups: new Counter({
      name: "fleetlog_lost_groups_total",
      help: "Shards whose stream in Redis is not what it was: its group destroyed, the stream deleted, or an older copy of it",
      labelNames: ["kind"],
      registers,
    }),
    summarizedDeadLetters: new Counter({
      name: "fleetlog_counted_dead_letters_total",
      help: "Rejected records that are only counted, in one dead letter for many, because there were too many",
      registers,
    }),
    droppedBatches: new Counter({
      name: "fleetlog_dropped_batches_total",
      help: "Batches that devices declared as lost on their side",
      registers,
    }),
    unlikelyArrivals: new Counter({
      name: "fleetlog_unlikely_arrivals_total",
      help: "Batches whose received_at could not be by PostgreSQL's clock and was replaced: the clock of a server is wrong",
      registers,
    }),
    reclaimed: new Counter({
      name: "fleetlog_reclaimed_entries_total",
      help: "Entries taken over from a consumer that left them unacknowledged",
      registers,
    }),
    lost: new Counter({
      name: "fleetlog_lost_entries_total",
      help: "Entries that were removed from the stream before they were stored; must stay 0",
      registers,
    }),
    trimmed: new Counter({
      name: "fleetlog_trimmed_entries_total",
      help: "Stored entries removed from the stream",
      registers,
    }),
    backlog: new Gauge({
      name: "fleetlog_backlog_entries",
      help: "Entries of a shard that no consumer has read; at most so many while more than 1,000 wait after a restart of Redis",
      labelNames: ["shard"],
      registers,
    }),
    pending: new Gauge({
      name: "fleetlog_pending_entries",
      help: "Entries of a shard a consumer has and did not acknowledge yet",
      labelNames: ["shard"],
      registers,
    }),
    oldest: new Gauge({
      name: "fleetlog_oldest_entry_seconds",
      help: "Age of the oldest entry of a shard that is not acknowledged",
      labelNames: ["shard"],
      registers,
    }),
    redisMemory: new Gauge({
      name: "fleetlog_redis_memory_bytes",
      help: "Memory that Redis uses",
      registers,
    }),
    redisMemoryMax: new Gauge({
      name: "fleetlog_redis_memory_max_bytes",
      help: "Memory beyond which Redis refuses batches; 0: no limit",
      registers,
    }),
    databaseBytes: new Gauge({
      name: "fleetlog_database_bytes",
      help: "Size of the database on disk, without its write-ahead log",
      registers,
    }),
    partitionsAhead: new Gauge({
      name: "fleetlog_partitions_ahead_days",
      help: "Days after today (UTC) in a row that have a partition of records; -1: not even today has",
      registers,
    }),
    partitions: new Gauge({
      name: "fleetlog_partitions",
      help: "Days of records that there are: closed ones with all indexes, closed ones that wait for some, open ones",
      labelNames: ["state"],
      registers,
    }),
    nextDrop: new Gauge({
      name: "fleetlog_next_partition_drop_timestamp_seconds",
      help: "When the oldest day of records is dropped, in seconds since 1970; NaN: records are kept for ever",
      registers,
    }),
    retentionWaits: new Gauge({
      name: "fleetlog_retention_waiting_days",
      help: "Days that retention does not remove before it is confirmed; 0: it asks nothing",
      registers,
    }),
    droppedPartitions: new Counter({
      name: "fleetlog_dropped_partitions_total",
      help: "Days of records dropped because they were older than they are kept for",
      registers,
    }),
    droppedBytes: new Counter({
      name: "fleetlog_dropped_partition_bytes_total",
      help: "What dropped days had on disk, with their indexes",
      registers,
    }),
    expiredRows: new Counter({
      name: "fleetlog_expired_rows_total",
      help: "Rows deleted because they were older than they are kept for",
      labelNames: ["table"],
      registers,
    }),
    indexSeconds: new Histogram({
      name: "fleetlog_partition_index_seconds",
      help: "How long building an index of a closed day took",
      labelNames: ["index"],
      buckets: [1, 10, 60, 300, 900, 3_600, 10_800],
      registers,
    }),
    indexFailures: new Counter({
      name: "fleetlog_partition_index_failures_total",
      help: "Indexes of closed days that could not be built; they are tried again",
      labelNames: ["index"],
      registers,
    }),
    devices: new Gauge({
      name: "fleetlog_devices",
      help: "Devices by when they were last seen: in the last hour, in the last day, ever",
      labelNames: ["seen"],
      registers,
    }),
  };
}
