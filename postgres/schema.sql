create sequence batch_counter as integer minvalue 0 maxvalue 1048575 cycle;
comment on sequence batch_counter is 'The low 20 bits of batches.id: one counter for all consumers, so that batches of the same millisecond get different ids.';

CREATE OR REPLACE FUNCTION public.bounded_ranges(ranges int8multirange)
 RETURNS int8multirange
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN CASE WHEN (pg_column_size(ranges) <= 32768) THEN ranges ELSE (SELECT range_agg(lowest.range) AS range_agg FROM (SELECT unnest(bounded_ranges.ranges) AS range LIMIT 1000) lowest) END;
comment on function bounded_ranges(int8multirange) is 'The same ranges, or the lowest 1,000 of them.';

CREATE OR REPLACE FUNCTION public.contiguous_until(ranges int8multirange)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (ranges @> (1)::bigint) THEN (SELECT (upper(range.range) - 1) FROM unnest(contiguous_until.ranges) range(range) LIMIT 1) ELSE (0)::bigint END;
comment on function contiguous_until(int8multirange) is 'The highest number up to which every number from 1 is in the ranges; 0 when 1 is not.';

CREATE OR REPLACE FUNCTION public.dropped_count(received int8multirange, dropped int8multirange)
 RETURNS numeric
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN isempty(dropped) THEN (0)::numeric ELSE (SELECT COALESCE(sum(((upper(range.range))::numeric - (lower(range.range))::numeric)), (0)::numeric) AS "coalesce" FROM unnest(((dropped_count.dropped - dropped_count.received) * int8multirange(int8range((0)::bigint, contiguous_until((dropped_count.received + dropped_count.dropped)), '[]'::text)))) range(range)) END;
comment on function dropped_count(int8multirange,int8multirange) is 'How many of the numbers up to contiguous_until(received + dropped) were declared as dropped and not received.';

CREATE OR REPLACE FUNCTION public.first_batch_id(received_at timestamp with time zone)
 RETURNS bigint
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN ((floor((EXTRACT(epoch FROM LEAST(GREATEST(received_at, '1970-01-01 00:00:00+00'::timestamp with time zone), '2240-01-01 00:00:00+00'::timestamp with time zone)) * (1000)::numeric)))::bigint << 20);
comment on function first_batch_id(timestamp with time zone) is 'No batch received at this time or later has a lower batches.id, to the millisecond.';

CREATE OR REPLACE FUNCTION public.give_batch_id_statistics(partition regclass)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  execute format('alter table %s alter column batch_id set (n_distinct = -0.9, n_distinct_inherited = -0.9)', partition);
  perform pg_restore_attribute_stats(
    'schemaname', namespace.nspname::text, 'relname', class.relname::text, 'attname', 'batch_id',
    'inherited', class.relkind = 'p', 'version', current_setting('server_version_num')::int,
    'null_frac', 0::real, 'avg_width', 8, 'n_distinct', -0.9::real)
  from pg_class class join pg_namespace namespace on namespace.oid = class.relnamespace
  where class.oid = partition;
end
$function$;
comment on function give_batch_id_statistics(regclass) is 'Tells the planner that nearly every row has a batch_id of its own; for record_batches and each of its partitions.';

CREATE OR REPLACE FUNCTION public.logs_between(from_time timestamp with time zone, to_time timestamp with time zone)
 RETURNS SETOF logs
 LANGUAGE sql
 STABLE PARALLEL SAFE ROWS 100000
BEGIN ATOMIC
 SELECT records."time",
     batches.received_at,
     devices.device_id,
     batches.session_id,
     batches.sequence,
     records.idx,
     records.severity,
     COALESCE(records.severity_text, severity_name(records.severity), ''::text) AS "coalesce",
     records.logger,
     records.message,
     COALESCE((batches.attributes || records.attributes), records.attributes, batches.attributes, '{}'::jsonb) AS "coalesce",
     records.trace_id,
     records.span_id,
     records.event_name,
     (((records.uptime)::double precision * '00:00:00.000001'::interval) / (1000)::double precision),
     records.observed_time,
     (COALESCE(((records.flags)::integer & 1), 0) = 1),
     (ARRAY['device'::text, 'boot time'::text, 'uptime'::text, 'observed'::text, 'received'::text])[(1 + COALESCE(((records.flags >> 1))::integer, 0))] AS "array",
     records.batch_id
    FROM ((( SELECT batches_1.id,
             batches_1.received_at,
             batches_1.first_time,
             batches_1.last_time,
             batches_1.sequence,
             batches_1.device_key,
             batches_1.record_count,
             batches_1.rejected_count,
             batches_1.severities,
             batches_1.bytes,
             batches_1.session_id,
             batches_1.digest,
             batches_1.attributes
            FROM batches batches_1
           WHERE ((batches_1.last_time >= logs_between.from_time) AND (batches_1.last_time < (logs_between.to_time + '00:10:00'::interval)) AND (batches_1.first_time <= logs_between.to_time) AND ((batches_1.last_time - batches_1.first_time) <= '00:10:00'::interval))
         UNION ALL
          SELECT batches_1.id,
             batches_1.received_at,
             batches_1.first_time,
             batches_1.last_time,
             batches_1.sequence,
             batches_1.device_key,
             batches_1.record_count,
             batches_1.rejected_count,
             batches_1.severities,
             batches_1.bytes,
             batches_1.session_id,
             batches_1.digest,
             batches_1.attributes
            FROM batches batches_1
           WHERE ((batches_1.last_time >= logs_between.from_time) AND (batches_1.first_time <= logs_between.to_time) AND ((batches_1.last_time - batches_1.first_time) > '00:10:00'::interval))) batches
      JOIN devices ON ((devices.key = batches.device_key)))
      CROSS JOIN LATERAL ( SELECT records_1.batch_id,
             records_1.idx,
             records_1."time",
             records_1.severity,
             records_1.logger,
             records_1.message,
             records_1.attributes,
             records_1.trace_id,
             records_1.span_id,
             records_1.event_name,
             records_1.severity_text,
             records_1.uptime,
             records_1.observed_time,
             records_1.flags
            FROM records records_1
           WHERE ((records_1.batch_id = batches.id) AND ((records_1."time" >= logs_between.from_time) AND (records_1."time" <= logs_between.to_time)))
          OFFSET 0) records);
END;
comment on function logs_between(timestamp with time zone,timestamp with time zone) is 'The rows of logs with a time between these two, both included. Reads only the batches of that time: give it the range of a panel.';

CREATE OR REPLACE FUNCTION public.logs_received_between(from_time timestamp with time zone, to_time timestamp with time zone)
 RETURNS SETOF logs
 LANGUAGE sql
 STABLE PARALLEL SAFE ROWS 100000
BEGIN ATOMIC
 SELECT logs."time",
     logs.received_at,
     logs.device_id,
     logs.session_id,
     logs.sequence,
     logs.idx,
     logs.severity,
     logs.severity_text,
     logs.logger,
     logs.message,
     logs.attributes,
     logs.trace_id,
     logs.span_id,
     logs.event_name,
     logs.uptime,
     logs.observed_time,
     logs.is_text_repaired,
     logs.time_source,
     logs.batch_id
    FROM logs
   WHERE (((logs.received_at >= logs_received_between.from_time) AND (logs.received_at <= logs_received_between.to_time)) AND (logs.batch_id >= first_batch_id(logs_received_between.from_time)) AND (logs.batch_id < first_batch_id((logs_received_between.to_time + '00:00:00.001'::interval))));
END;
comment on function logs_received_between(timestamp with time zone,timestamp with time zone) is 'The rows of logs received between these two times, both included. Reads only the days of that time.';

CREATE OR REPLACE FUNCTION public.newest_logs(count integer, until timestamp with time zone DEFAULT (now() + '00:10:00'::interval))
 RETURNS SETOF logs
 LANGUAGE sql
 STABLE PARALLEL SAFE
BEGIN ATOMIC
 SELECT logs."time",
     logs.received_at,
     logs.device_id,
     logs.session_id,
     logs.sequence,
     logs.idx,
     logs.severity,
     logs.severity_text,
     logs.logger,
     logs.message,
     logs.attributes,
     logs.trace_id,
     logs.span_id,
     logs.event_name,
     logs.uptime,
     logs.observed_time,
     logs.is_text_repaired,
     logs.time_source,
     logs.batch_id
    FROM (( SELECT COALESCE(( SELECT newest.first_time
                    FROM ( SELECT batches.first_time,
                             sum(batches.record_count) OVER (ORDER BY batches.first_time DESC, batches.id DESC ROWS UNBOUNDED PRECEDING) AS records
                            FROM batches
                           WHERE ((batches.first_time <= newest_logs.until) AND (batches.last_time <= newest_logs.until))) newest
                   WHERE (newest.records >= newest_logs.count)
                  LIMIT 1), '-infinity'::timestamp with time zone) AS first_time) edge
      CROSS JOIN LATERAL logs_between(edge.first_time, newest_logs.until) logs("time", received_at, device_id, session_id, sequence, idx, severity, severity_text, logger, message, attributes, trace_id, span_id, event_name, uptime, observed_time, is_text_repaired, time_source, batch_id))
   ORDER BY logs."time" DESC, logs.batch_id DESC, logs.idx DESC
  LIMIT newest_logs.count;
END;
comment on function newest_logs(integer,timestamp with time zone) is 'The newest rows of logs by time, up to a time: by default ten minutes from now, which leaves out records of clocks that are far ahead.';

CREATE OR REPLACE FUNCTION public.next_batch_id(received_at timestamp with time zone)
 RETURNS bigint
 LANGUAGE sql
RETURN (((floor((EXTRACT(epoch FROM received_at) * (1000)::numeric)))::bigint << 20) | nextval('batch_counter'::regclass));
comment on function next_batch_id(timestamp with time zone) is 'A new batches.id: milliseconds of received_at << 20 | batch_counter, so ids rise with the time of arrival.';

CREATE OR REPLACE FUNCTION public.note_device_info(device integer, at timestamp with time zone, number bigint, said jsonb)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
declare
  before device_info_history;
  after device_info_history;
  newest device_info_history;
begin
  select * into before from device_info_history
    where device_key = device and (received_at, sequence) <= (at, number)
    order by received_at desc, sequence desc limit 1;
  if before.info = said then
    update device_info_history set last_received_at = at
      where (device_key, received_at, sequence) = (device, before.received_at, before.sequence) and last_received_at < at;
    return;
  end if;
  select * into after from device_info_history
    where device_key = device and (received_at, sequence) > (at, number)
    order by received_at, sequence limit 1;
  if before.last_received_at > at then
    update device_info_history set last_received_at = received_at
      where (device_key, received_at, sequence) = (device, before.received_at, before.sequence);
    insert into device_info_history (device_key, received_at, sequence, last_received_at, info) values
      (device, at, number, at, said),
      (device, before.last_received_at, 0, before.last_received_at, before.info);
  elsif after.info = said then
    update device_info_history set received_at = at, sequence = number
      where (device_key, received_at, sequence) = (device, after.received_at, after.sequence);
  else
    insert into device_info_history (device_key, received_at, sequence, last_received_at, info)
      values (device, at, number, at, said);
  end if;
  delete from device_info_history
    where device_key = device and (received_at, sequence) <= (
      select received_at, sequence from device_info_history where device_key = device
      order by received_at desc, sequence desc offset 100 limit 1);
  select * into newest from device_info_history
    where device_key = device order by received_at desc, sequence desc limit 1;
  update devices set info = newest.info, info_since = newest.received_at
    where key = device and (info, info_since) is distinct from (newest.info, newest.received_at);
end
$function$;
comment on function note_device_info(integer,timestamp with time zone,bigint,jsonb) is 'Adds what a batch said about its device to device_info_history and to devices, in whatever order batches are stored. Lock the row of the device first.';

CREATE OR REPLACE FUNCTION public.severity_name(severity smallint)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (ARRAY['TRACE'::text, 'TRACE2'::text, 'TRACE3'::text, 'TRACE4'::text, 'DEBUG'::text, 'DEBUG2'::text, 'DEBUG3'::text, 'DEBUG4'::text, 'INFO'::text, 'INFO2'::text, 'INFO3'::text, 'INFO4'::text, 'WARN'::text, 'WARN2'::text, 'WARN3'::text, 'WARN4'::text, 'ERROR'::text, 'ERROR2'::text, 'ERROR3'::text, 'ERROR4'::text, 'FATAL'::text, 'FATAL2'::text, 'FATAL3'::text, 'FATAL4'::text])[severity];
comment on function severity_name(smallint) is 'The name of a severity, such as WARN2 for 14; NULL for 0.';

CREATE OR REPLACE FUNCTION public.time_from_micros(micros bigint)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN (('1970-01-01 00:00:00+00'::timestamp with time zone + (((micros / 1000000))::double precision * '00:00:01'::interval)) + (((micros % (1000000)::bigint))::double precision * '00:00:00.000001'::interval));
comment on function time_from_micros(bigint) is 'The time this many microseconds after 1970, exactly.';

create table batches (
  id bigint not null,
  received_at timestamp with time zone not null,
  first_time timestamp with time zone not null,
  last_time timestamp with time zone not null,
  sequence bigint not null,
  device_key integer not null,
  record_count integer not null,
  rejected_count integer not null,
  severities integer not null,
  bytes integer not null,
  session_id text not null,
  digest bytea not null,
  attributes jsonb,
  constraint batches_device_key_session_id_sequence_digest_key UNIQUE (device_key, session_id, sequence, digest),
  constraint batches_pkey PRIMARY KEY (id)
) with (autovacuum_vacuum_scale_factor=0.05, autovacuum_vacuum_insert_scale_factor=0.05, autovacuum_freeze_min_age=0);
comment on table batches is 'The ledger of stored batches and the index of their records, one row per batch. Not partitioned: a retry after midnight must still find its first copy.';
comment on column batches.id is 'Milliseconds of received_at << 20 | batch_counter. Rises with the time of arrival; records are partitioned by it.';
comment on column batches.received_at is 'When a server first received the batch; set once.';
comment on column batches.first_time is 'The earliest time of its records; received_at without records.';
comment on column batches.last_time is 'The latest time of its records; received_at without records.';
comment on column batches.sequence is 'The number of the batch in its session, from 1.';
comment on column batches.device_key is 'devices.key';
comment on column batches.record_count is 'Records stored in records.';
comment on column batches.rejected_count is 'Records rejected and kept in dead_letters.';
comment on column batches.severities is 'The severities of its records as bits: bit s is set when a record has severity s.';
comment on column batches.bytes is 'Length of the batch as sent.';
comment on column batches.session_id is 'The boot of the device. Starts with ~ when a server assigned it to a sender without state.';
comment on column batches.digest is 'First 16 bytes of the SHA-256 of the batch in its canonical form. Equal digests mean a retry, however it is encoded; another digest under the same number means another batch.';
comment on column batches.attributes is 'The attributes of all its records; NULL when it has none.';

create table dead_letters (
  id bigint generated always as identity not null,
  at timestamp with time zone not null default now(),
  received_at timestamp with time zone,
  device_id text,
  session_id text,
  sequence bigint,
  idx integer,
  reason text not null,
  raw bytea not null,
  raw_bytes integer not null,
  entry text,
  replayed_at timestamp with time zone,
  replayed_batch bigint,
  digest bytea,
  record_count integer not null default 1,
  is_json boolean not null default false,
  minute timestamp with time zone,
  constraint dead_letters_pkey PRIMARY KEY (id)
);
comment on table dead_letters is 'Everything that could not be stored, with the reason: single records (idx is set), whole batches and malformed stream entries (entry is set), and summaries of several records (neither is set).';
comment on column dead_letters.id is 'Rises with time.';
comment on column dead_letters.at is 'When it was stored here.';
comment on column dead_letters.received_at is 'When a server received the batch; NULL if the entry has no time.';
comment on column dead_letters.device_id is 'The sender; NULL if the entry has none.';
comment on column dead_letters.session_id is 'batches.session_id';
comment on column dead_letters.sequence is 'batches.sequence';
comment on column dead_letters.idx is 'Index of the record in its batch, from 0; NULL for a whole batch or entry and for a summary.';
comment on column dead_letters.reason is 'The problem, with the value and the limit.';
comment on column dead_letters.raw is 'The bytes of the record, batch or entry as sent, truncated to 64 KiB; acknowledged data that PostgreSQL refused is never truncated. Of a summary: the records as a LogBatch, as many as fit.';
comment on column dead_letters.raw_bytes is 'Length before truncation.';
comment on column dead_letters.entry is 'Stream and id of the entry, for a whole batch that is here instead of in batches.';
comment on column dead_letters.replayed_at is 'When a replay stored its content, set in the same transaction; NULL: not replayed.';
comment on column dead_letters.replayed_batch is 'batches.id of the batch that the replay stored.';
comment on column dead_letters.digest is 'batches.digest of a batch that PostgreSQL refused as a whole; NULL otherwise.';
comment on column dead_letters.record_count is 'The number of records it covers: 1, except for summaries. sum(record_count) over the records equals devices.dead_letter_count.';
comment on column dead_letters.is_json is 'True when raw is a record as JSON text, as sent.';
comment on column dead_letters.minute is 'Of a summary of records above the rate limit of their device: the minute in which they were counted; NULL otherwise.';

create table device_info_history (
  device_key integer not null,
  received_at timestamp with time zone not null,
  sequence bigint not null,
  last_received_at timestamp with time zone not null,
  info jsonb not null,
  constraint device_info_history_pkey PRIMARY KEY (device_key, received_at, sequence)
);
comment on table device_info_history is 'What each device said about itself: a row per change, the newest 100 of each device.';
comment on column device_info_history.device_key is 'devices.key';
comment on column device_info_history.received_at is 'When a server received the first batch that said so.';
comment on column device_info_history.sequence is 'The sequence of that batch: the order within a millisecond.';
comment on column device_info_history.last_received_at is 'When a server received the last batch that said so.';
comment on column device_info_history.info is 'As devices.info.';

create table device_statistics (
  hour timestamp with time zone not null,
  device_key integer not null,
  batch_count bigint not null,
  record_count bigint not null,
  error_count bigint not null,
  dead_letter_count bigint not null,
  bytes bigint not null,
  constraint device_statistics_pkey PRIMARY KEY (device_key, hour)
) with (fillfactor=60, autovacuum_vacuum_scale_factor=0.05);
comment on table device_statistics is 'What each device sent per hour of arrival (received_at), independent of its clock.';
comment on column device_statistics.hour is 'Start of the hour of batches.received_at.';
comment on column device_statistics.device_key is 'devices.key';
comment on column device_statistics.batch_count is 'Stored batches.';
comment on column device_statistics.record_count is 'Stored records.';
comment on column device_statistics.error_count is 'Stored records of severity 17 (ERROR) and above.';
comment on column device_statistics.dead_letter_count is 'Records rejected and kept in dead_letters.';
comment on column device_statistics.bytes is 'Length of the batches as sent.';

create table devices (
  key integer generated always as identity not null,
  device_id text not null,
  first_seen timestamp with time zone not null,
  last_seen timestamp with time zone not null,
  batch_count bigint not null default 0,
  record_count bigint not null default 0,
  error_count bigint not null default 0,
  dead_letter_count bigint not null default 0,
  attributes jsonb not null default '{}'::jsonb,
  clock_offset_micros bigint,
  info jsonb,
  info_since timestamp with time zone,
  constraint devices_device_id_key UNIQUE (device_id),
  constraint devices_pkey PRIMARY KEY (key)
) with (fillfactor=60, autovacuum_vacuum_scale_factor=0.05);
comment on table devices is 'One row per device that ever sent a batch. The counts change in the transaction that stores the records, so they are exact.';
comment on column devices.key is 'Identifies the device in every other table.';
comment on column devices.device_id is 'The identifier that the device sends: 1 to 128 of A-Z a-z 0-9 . _ : -';
comment on column devices.first_seen is 'received_at of its earliest batch.';
comment on column devices.last_seen is 'received_at of its latest batch.';
comment on column devices.batch_count is 'Stored batches.';
comment on column devices.record_count is 'Stored records.';
comment on column devices.error_count is 'Stored records of severity 17 (ERROR) and above.';
comment on column devices.dead_letter_count is 'Records rejected and kept in dead_letters.';
comment on column devices.attributes is 'Further facts about the device; written by operators.';
comment on column devices.clock_offset_micros is 'Latest record time of its last batch minus the received_at of that batch, in microseconds; NULL: not known.';
comment on column devices.info is 'What the device said last about itself: {firmware, hardware, site, attributes}, without what it did not say. NULL: nothing yet.';
comment on column devices.info_since is 'received_at of the first batch that said so.';

create table drops (
  batch_id bigint not null,
  device_key integer not null,
  session_id text not null,
  first_sequence bigint not null,
  last_sequence bigint not null,
  reason text not null,
  received_at timestamp with time zone not null,
  constraint drops_pkey PRIMARY KEY (batch_id)
);
comment on table drops is 'Batches that devices declared as dropped: they will never arrive.';
comment on column drops.batch_id is 'batches.id of the batch with the declaration; rises with time.';
comment on column drops.device_key is 'devices.key';
comment on column drops.session_id is 'batches.session_id';
comment on column drops.first_sequence is 'The first dropped batch.';
comment on column drops.last_sequence is 'The last dropped batch.';
comment on column drops.reason is 'The reason that the device gave.';
comment on column drops.received_at is 'When a server received the declaration.';

create table incidents (
  id bigint generated always as identity not null,
  at timestamp with time zone not null default now(),
  kind text not null,
  device_key integer,
  details jsonb not null,
  constraint incidents_pkey PRIMARY KEY (id)
);
comment on table incidents is 'Events for an operator to check: data may be lost, or a device misbehaves.';
comment on column incidents.id is 'Rises with time.';
comment on column incidents.at is 'When it was detected.';
comment on column incidents.kind is 'sequence_reused: a device sent two different batches under one session and sequence; both are stored. clock_ahead: records of a device are dated more than ten minutes after they were received; once per device and day (UTC). group_lost: a consumer group was destroyed; nothing is lost. stream_rewound: Redis came back on an older copy of its data. stream_lost: a stream was deleted. entries_lost: batches that were acknowledged and are neither stored nor in Redis.';
comment on column incidents.device_key is 'devices.key';
comment on column incidents.details is 'Data to follow it up; its keys depend on the kind.';

create table log_statistics (
  minute timestamp with time zone not null,
  severity smallint not null,
  record_count bigint not null,
  constraint log_statistics_pkey PRIMARY KEY (minute, severity)
) with (fillfactor=60, autovacuum_vacuum_scale_factor=0.05);
comment on table log_statistics is 'Stored records of the whole fleet per minute of their time and severity; equals count(*) over records.';
comment on column log_statistics.minute is 'Start of the minute of records.time.';
comment on column log_statistics.severity is 'records.severity';
comment on column log_statistics.record_count is 'Number of records.';

create table record_batches (
  batch_id bigint not null,
  first_index integer not null,
  times timestamp with time zone[] not null,
  severities smallint[] not null,
  loggers text[] not null,
  messages text[] not null,
  attributes text[],
  indexes integer[],
  trace_ids bytea[],
  span_ids bytea[],
  event_names text[],
  severity_texts text[],
  uptimes bigint[],
  observed_times timestamp with time zone[],
  flags smallint[],
  constraint record_batches_pkey PRIMARY KEY (batch_id, first_index)
) partition by RANGE (batch_id);
comment on table record_batches is 'The records, a row per batch (a large batch has several): all arrays of a row have the same length, and the same subscript is the same record. The view records opens them. Partitions are days of arrival (UTC), named record_batches_YYYYMMDD.';
comment on column record_batches.batch_id is 'batches.id';
comment on column record_batches.first_index is 'The index in the batch of the first record of the row. Without indexes the others follow it without a gap.';
comment on column record_batches.times is 'When they happened by the clock of the device. If the device sent no time: by its uptime and the time of its boot, else estimated from its uptime and the reception of its batch, else when a collector observed it, else received_at of the batch. Bits 1 to 3 of flags say which.';
comment on column record_batches.severities is '0 to 24, the numbers of OpenTelemetry: 9 INFO, 13 WARN, 17 ERROR, 21 FATAL.';
comment on column record_batches.loggers is 'The components that logged; empty if unknown.';
comment on column record_batches.messages is 'The texts.';
comment on column record_batches.attributes is 'The attributes of each record alone, as JSON text; NULL when it has none, or no record has any. Those of its batch: batches.attributes.';
comment on column record_batches.indexes is 'The indexes of the records in the batch as sent, from 0, when rejected ones leave gaps between them; NULL when they have none.';
comment on column record_batches.trace_ids is 'The traces, 16 bytes; NULL for none, or no record of the row has any.';
comment on column record_batches.span_ids is 'The spans within the traces, 8 bytes; NULL for none.';
comment on column record_batches.event_names is 'What kind of event each is; NULL for none.';
comment on column record_batches.severity_texts is 'The severities in the words of their sources; NULL for none.';
comment on column record_batches.uptimes is 'The time since the device booted, in ns; NULL for unknown.';
comment on column record_batches.observed_times is 'When a collector on the way first saw them; NULL for unknown.';
comment on column record_batches.flags is 'Bit 0: a text was repaired; bits 1 to 3: how the time is known, TimeSource in query.proto. NULL for 0.';

create table record_batches_default partition of record_batches (
  batch_id bigint not null,
  first_index integer not null,
  times timestamp with time zone[] not null,
  severities smallint[] not null,
  loggers text[] not null,
  messages text[] not null,
  attributes text[],
  indexes integer[],
  trace_ids bytea[],
  span_ids bytea[],
  event_names text[],
  severity_texts text[],
  uptimes bigint[],
  observed_times timestamp with time zone[],
  flags smallint[],
  constraint record_batches_default_pkey PRIMARY KEY (batch_id, first_index)
);
comment on table record_batches_default is 'Holds records of days without a partition of their own, such as a day long past.';

create table retention_clock (
  only_row boolean not null default true,
  checked_at timestamp with time zone not null,
  constraint retention_clock_only_row_check CHECK (only_row),
  constraint retention_clock_pkey PRIMARY KEY (only_row)
);
comment on table retention_clock is 'One row: when retention last ran without having to ask. Shows a clock that jumped.';
comment on column retention_clock.only_row is 'Always true.';
comment on column retention_clock.checked_at is 'By the clock of PostgreSQL.';

create table retention_requests (
  id integer generated always as identity not null,
  asked_at timestamp with time zone not null default clock_timestamp(),
  reasons text[] not null,
  plan jsonb not null,
  confirmed_at timestamp with time zone,
  done_at timestamp with time zone,
  constraint retention_requests_pkey PRIMARY KEY (id)
);
comment on table retention_requests is 'Removals that wait for a confirmation (fleetlog retention confirm). At most one is open.';
comment on column retention_requests.id is 'The number to confirm.';
comment on column retention_requests.asked_at is 'When a consumer made the request, by the clock of PostgreSQL.';
comment on column retention_requests.reasons is 'Why a confirmation is needed.';
comment on column retention_requests.plan is 'A list of {table, days, rows, bytes}: exactly what a confirmation allows.';
comment on column retention_requests.confirmed_at is 'When it was confirmed; NULL: not yet.';
comment on column retention_requests.done_at is 'When all of it was removed.';

create table search_summaries (
  slice smallint not null,
  first_id bigint not null,
  last_id bigint not null,
  bytes bytea not null,
  constraint search_summaries_pkey PRIMARY KEY (slice, first_id)
);
comment on table search_summaries is 'Which terms the records of some batches have, written in their transaction. A summary has several rows, as a search needs few of its slices: search/slices.ts. Batches without a summary are read by every search.';
comment on column search_summaries.slice is 'Which terms this row has: 0 has none, but the batches of the summary.';
comment on column search_summaries.first_id is 'The lowest batch id of the summary, the same in all of its rows. All its batches are of one day.';
comment on column search_summaries.last_id is 'The highest batch id of the summary.';
comment on column search_summaries.bytes is 'Terms, and which batches have them; for programs only.';

create table sessions (
  device_key integer not null,
  session_id text not null,
  received int8multirange not null,
  dropped int8multirange not null,
  first_received_at timestamp with time zone not null,
  last_received_at timestamp with time zone not null,
  batch_count bigint not null default 0,
  record_count bigint not null default 0,
  booted_at timestamp with time zone,
  has_undated boolean not null default false,
  constraint sessions_pkey PRIMARY KEY (device_key, session_id)
) with (fillfactor=60, autovacuum_vacuum_scale_factor=0.05);
comment on table sessions is 'The settled batches of each session and their number, changed in the transaction that stores them.';
comment on column sessions.device_key is 'devices.key';
comment on column sessions.session_id is 'batches.session_id';
comment on column sessions.received is 'Sequences in batches, or as a whole in dead_letters because PostgreSQL refused them. Empty when a server assigned the session.';
comment on column sessions.dropped is 'Sequences that the device declared as dropped.';
comment on column sessions.first_received_at is 'received_at of its earliest batch.';
comment on column sessions.last_received_at is 'received_at of its latest batch.';
comment on column sessions.batch_count is 'Stored batches, including declarations of drops.';
comment on column sessions.record_count is 'Stored records.';
comment on column sessions.booted_at is 'When the device booted by its own clock: the latest of what records with a time and an uptime say. NULL: not known.';
comment on column sessions.has_undated is 'False: no row of undated_batches is of this session.';

create table stream_positions (
  shard integer not null,
  process text not null,
  epoch text not null,
  last_id text not null,
  entries_added bigint not null,
  stored_before text not null,
  waiting bigint not null,
  at timestamp with time zone not null default now(),
  constraint stream_positions_pkey PRIMARY KEY (shard)
);
comment on table stream_positions is 'The position of each shard''s stream in Redis at the last check, every 2 s while it changes.';
comment on column stream_positions.shard is 'The number of the shard.';
comment on column stream_positions.process is 'The Redis process that served it, and its replication history.';
comment on column stream_positions.epoch is 'Changes when the stream or its consumer group is created again.';
comment on column stream_positions.last_id is 'Id of the newest entry; 0-0 without entries.';
comment on column stream_positions.entries_added is 'Number of entries ever added.';
comment on column stream_positions.stored_before is 'All entries before this id are stored.';
comment on column stream_positions.waiting is 'Entries not yet stored, at most.';
comment on column stream_positions.at is 'When it was checked.';

create table undated_batches (
  batch_id bigint not null,
  device_key integer not null,
  session_id text not null,
  constraint undated_batches_pkey PRIMARY KEY (batch_id)
);
comment on table undated_batches is 'Batches whose records have an uptime and an estimated time: they are dated anew once sessions.booted_at is known, or forgotten after 30 days.';
comment on column undated_batches.batch_id is 'batches.id';
comment on column undated_batches.device_key is 'devices.key';
comment on column undated_batches.session_id is 'batches.session_id';

CREATE INDEX batches_by_first_time ON public.batches USING btree (first_time, id);
CREATE INDEX batches_by_received_at ON public.batches USING brin (received_at) WITH (autosummarize='on', pages_per_range='16');
CREATE INDEX batches_by_time ON public.batches USING btree (last_time, id);
CREATE INDEX batches_long ON public.batches USING btree (last_time) WHERE ((last_time - first_time) > '00:10:00'::interval);
CREATE INDEX batches_of_device ON public.batches USING btree (device_key, last_time);
CREATE INDEX batches_of_device_by_first_time ON public.batches USING btree (device_key, first_time);

CREATE INDEX dead_letters_at ON public.dead_letters USING btree (at);
CREATE UNIQUE INDEX dead_letters_entry ON public.dead_letters USING btree (entry, sha256(raw)) WHERE (entry IS NOT NULL);
CREATE UNIQUE INDEX dead_letters_of_batch ON public.dead_letters USING btree (device_id, session_id, sequence, digest) WHERE (digest IS NOT NULL);
CREATE INDEX dead_letters_of_device ON public.dead_letters USING btree (device_id, id);
CREATE UNIQUE INDEX dead_letters_of_minute ON public.dead_letters USING btree (device_id, minute) WHERE (minute IS NOT NULL);

CREATE INDEX device_statistics_by_hour ON public.device_statistics USING btree (hour);

CREATE INDEX drops_of_session ON public.drops USING btree (device_key, session_id, batch_id);

CREATE INDEX incidents_at ON public.incidents USING btree (at);
CREATE UNIQUE INDEX incidents_clock_ahead ON public.incidents USING btree (device_key, (((at AT TIME ZONE 'UTC'::text))::date)) WHERE (kind = 'clock_ahead'::text);

CREATE INDEX sessions_of_device ON public.sessions USING btree (device_key, first_received_at, session_id);
CREATE INDEX sessions_to_date ON public.sessions USING btree (device_key, session_id) WHERE (has_undated AND (booted_at IS NOT NULL));

CREATE INDEX undated_batches_of_session ON public.undated_batches USING btree (device_key, session_id, batch_id);

create view logs as
 SELECT records."time",
    batches.received_at,
    devices.device_id,
    batches.session_id,
    batches.sequence,
    records.idx,
    records.severity,
    COALESCE(records.severity_text, severity_name(records.severity), ''::text) AS severity_text,
    records.logger,
    records.message,
    COALESCE(batches.attributes || records.attributes, records.attributes, batches.attributes, '{}'::jsonb) AS attributes,
    records.trace_id,
    records.span_id,
    records.event_name,
    records.uptime::double precision * '00:00:00.000001'::interval / 1000::double precision AS uptime,
    records.observed_time,
    COALESCE(records.flags::integer & 1, 0) = 1 AS is_text_repaired,
    (ARRAY['device'::text, 'boot time'::text, 'uptime'::text, 'observed'::text, 'received'::text])[1 + COALESCE((records.flags >> 1)::integer, 0)] AS time_source,
    records.batch_id
   FROM records
     JOIN batches ON batches.id = records.batch_id
     JOIN devices ON devices.key = batches.device_key;
comment on view logs is 'Every stored record with its device, session and sequence, for SQL, Grafana and BI tools. For a range of time use logs_between() or logs_received_between() in its place: they read the batches and days of the range alone. docs/SQL.md has examples.';
comment on column logs."time" is 'When it happened; see time_source.';
comment on column logs.received_at is 'When a server first received its batch.';
comment on column logs.device_id is 'The device.';
comment on column logs.session_id is 'The boot of the device. Starts with ~ when a server assigned it to a sender without state.';
comment on column logs.sequence is 'The number of its batch in the session, from 1.';
comment on column logs.idx is 'Its index in the batch as sent, from 0.';
comment on column logs.severity is '0 to 24, the numbers of OpenTelemetry: 9 INFO, 13 WARN, 17 ERROR, 21 FATAL.';
comment on column logs.severity_text is 'The severity as its source named it; else the name of its number, such as WARN2. Empty: none.';
comment on column logs.logger is 'The component that logged it; empty if unknown.';
comment on column logs.message is 'The text.';
comment on column logs.attributes is 'Further fields by name, as JSON values: those of the record, which replace those of its batch.';
comment on column logs.trace_id is 'The trace, 16 bytes; NULL: none.';
comment on column logs.span_id is 'The span within the trace, 8 bytes; NULL: none.';
comment on column logs.event_name is 'What kind of event it is; NULL: unknown.';
comment on column logs.uptime is 'How long after the boot of the device it happened; NULL: unknown.';
comment on column logs.observed_time is 'When a collector on the way first saw it; NULL: unknown.';
comment on column logs.is_text_repaired is 'Whether a text of it was cut inside a character when it arrived; U+FFFD stands for the remains.';
comment on column logs.time_source is 'How time is known. device: the device sent it. boot time: from its uptime and the time at which the device booted, by its own clock. uptime: from its uptime and the reception of its batch. observed: a collector first saw it then. received: its batch was received then.';
comment on column logs.batch_id is 'batches.id; with idx the key of the record.';

create view records as
 SELECT record_batches.batch_id,
    COALESCE(record_batches.indexes[record.place], record_batches.first_index + record.place::integer - 1) AS idx,
    record."time",
    record.severity,
    record.logger,
    record.message,
    record.attributes::jsonb AS attributes,
    record.trace_id,
    record.span_id,
    record.event_name,
    record.severity_text,
    record.uptime,
    record.observed_time,
    record.flags
   FROM record_batches
     CROSS JOIN LATERAL UNNEST(record_batches.times, record_batches.severities, record_batches.loggers, record_batches.messages, record_batches.attributes, record_batches.trace_ids, record_batches.span_ids, record_batches.event_names, record_batches.severity_texts, record_batches.uptimes, record_batches.observed_times, record_batches.flags) WITH ORDINALITY record("time", severity, logger, message, attributes, trace_id, span_id, event_name, severity_text, uptime, observed_time, flags, place);
comment on view records is 'A row per log record. Found through its batch: choose rows of batches first, then join on batch_id.';
comment on column records.batch_id is 'batches.id; together with idx the key of the record.';
comment on column records.idx is 'Its index in the batch as sent, from 0.';
comment on column records."time" is 'When it happened; how that is known is in flags.';
comment on column records.severity is '0 to 24, the numbers of OpenTelemetry: 9 INFO, 13 WARN, 17 ERROR, 21 FATAL.';
comment on column records.logger is 'The component that logged it; empty if unknown.';
comment on column records.message is 'The text.';
comment on column records.attributes is 'The attributes of the record alone, as JSON values; NULL when it has none. Those of its batch: batches.attributes.';
comment on column records.trace_id is 'The trace, 16 bytes; NULL: none.';
comment on column records.span_id is 'The span within the trace, 8 bytes; NULL: none.';
comment on column records.event_name is 'What kind of event it is; NULL: unknown.';
comment on column records.severity_text is 'The severity in the words of its source; NULL: none.';
comment on column records.uptime is 'The time since the device booted, in ns; NULL: unknown.';
comment on column records.observed_time is 'When a collector on the way first saw it; NULL: unknown.';
comment on column records.flags is 'Bit 0: a text was repaired; bits 1 to 3: how its time is known, TimeSource in query.proto. NULL: 0.';
