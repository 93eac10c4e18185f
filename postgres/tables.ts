import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from "kysely";

/*
 * The tables as Kysely sees them, by hand; migrations/ makes them and their comments say what they mean. The
 * types are those of node-postgres without own parsers: int8 is read as a decimal string, timestamptz as a Date,
 * which has milliseconds only. Who needs microseconds selects `(extract(epoch from …) * 1e6)::int8`.
 */

type Int8 = ColumnType<string, bigint | number | string, bigint | number | string>;
type Timestamp = ColumnType<Date, Date | string, Date | string>;
type JsonObject = Readonly<Record<string, unknown>>;

export interface Database {
  devices: DevicesTable;
  batches: BatchesTable;
  record_batches: RecordBatchesTable;
  search_summaries: SearchSummariesTable;
  records: RecordsView;
  logs: LogsView;
  log_statistics: LogStatisticsTable;
  device_statistics: DeviceStatisticsTable;
  dead_letters: DeadLettersTable;
  incidents: IncidentsTable;
  sessions: SessionsTable;
  drops: DropsTable;
  undated_batches: UndatedBatchesTable;
  stream_positions: StreamPositionsTable;
  retention_requests: RetentionRequestsTable;
  retention_clock: RetentionClockTable;
}

interface DevicesTable {
  key: GeneratedAlways<number>;
  device_id: string;
  first_seen: Timestamp;
  last_seen: Timestamp;
  batch_count: Generated<Int8>;
  record_count: Generated<Int8>;
  error_count: Generated<Int8>;
  dead_letter_count: Generated<Int8>;
  attributes: Generated<JSONColumnType<JsonObject>>;
  clock_offset_micros: Int8 | null;
}

interface BatchesTable {
  id: Int8;
  received_at: Timestamp;
  first_time: Timestamp;
  last_time: Timestamp;
  sequence: Int8;
  device_key: number;
  record_count: number;
  rejected_count: number;
  severities: number;
  bytes: number;
  session_id: string;
  digest: Buffer;
  attributes: JSONColumnType<JsonObject> | null;
}

interface RecordBatchesTable {
  batch_id: Int8;
  first_index: number;
  times: readonly Date[];
  severities: readonly number[];
  loggers: readonly string[];
  messages: readonly string[];
  attributes: readonly (string | null)[] | null;
  indexes: readonly number[] | null;
  trace_ids: readonly (Buffer | null)[] | null;
  span_ids: readonly (Buffer | null)[] | null;
  event_names: readonly (string | null)[] | null;
  severity_texts: readonly (string | null)[] | null;
  uptimes: readonly (string | null)[] | null;
  observed_times: readonly (Date | null)[] | null;
  flags: readonly (number | null)[] | null;
}

interface SearchSummariesTable {
  slice: number;
  first_id: Int8;
  last_id: Int8;
  bytes: Buffer;
}

interface RecordsView {
  batch_id: Int8;
  idx: number;
  time: Timestamp;
  severity: number;
  logger: string;
  message: string;
  attributes: JSONColumnType<JsonObject> | null;
  trace_id: Buffer | null;
  span_id: Buffer | null;
  event_name: string | null;
  severity_text: string | null;
  uptime: Int8 | null;
  observed_time: Timestamp | null;
  flags: number | null;
}

interface LogsView {
  time: Timestamp;
  received_at: Timestamp;
  device_id: string;
  session_id: string;
  sequence: Int8;
  idx: number;
  severity: number;
  logger: string;
  message: string;
  attributes: JSONColumnType<JsonObject>;
  trace_id: Buffer | null;
  span_id: Buffer | null;
  event_name: string | null;
  severity_text: string | null;
  uptime: Int8 | null;
  observed_time: Timestamp | null;
  flags: number | null;
}

interface LogStatisticsTable {
  minute: Timestamp;
  severity: number;
  record_count: Int8;
}

interface DeviceStatisticsTable {
  hour: Timestamp;
  device_key: number;
  batch_count: Int8;
  record_count: Int8;
  error_count: Int8;
  dead_letter_count: Int8;
  bytes: Int8;
}

interface DeadLettersTable {
  id: GeneratedAlways<string>;
  at: Generated<Timestamp>;
  received_at: Timestamp | null;
  device_id: string | null;
  session_id: string | null;
  sequence: Int8 | null;
  idx: number | null;
  reason: string;
  raw: Buffer;
  raw_bytes: number;
  entry: string | null;
  digest: Buffer | null;
  replayed_at: Timestamp | null;
  replayed_batch: Int8 | null;
  record_count: Generated<number>;
  is_json: Generated<boolean>;
  minute: Timestamp | null;
}

interface IncidentsTable {
  id: GeneratedAlways<string>;
  at: Generated<Timestamp>;
  kind: string;
  device_key: number | null;
  details: JSONColumnType<JsonObject>;
}

/** The ranges are int8multirange: text such as `{[1,4),[7,9)}`. */
interface SessionsTable {
  device_key: number;
  session_id: string;
  received: string;
  dropped: string;
  first_received_at: Timestamp;
  last_received_at: Timestamp;
  batch_count: Generated<Int8>;
  record_count: Generated<Int8>;
  booted_at: Timestamp | null;
  has_undated: Generated<boolean>;
}

interface UndatedBatchesTable {
  batch_id: Int8;
  device_key: number;
  session_id: string;
}

interface DropsTable {
  batch_id: Int8;
  device_key: number;
  session_id: string;
  first_sequence: Int8;
  last_sequence: Int8;
  reason: string;
  received_at: Timestamp;
}

interface StreamPositionsTable {
  shard: number;
  process: string;
  epoch: string;
  last_id: string;
  entries_added: Int8;
  stored_before: string;
  waiting: Int8;
  at: ColumnType<Date, Date | string | undefined, Date | string>;
}

interface RetentionRequestsTable {
  id: GeneratedAlways<number>;
  asked_at: Generated<Timestamp>;
  reasons: string[];
  plan: JSONColumnType<readonly object[]>;
  confirmed_at: Timestamp | null;
  done_at: Timestamp | null;
}

interface RetentionClockTable {
  only_row: Generated<boolean>;
  checked_at: Timestamp;
}
