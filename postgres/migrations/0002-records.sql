-- The records: a row per batch, the columns of its records side by side as arrays; and the view that opens them.

create table record_batches (
  batch_id bigint not null,
  first_index integer not null,
  times timestamptz[] not null,
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
  observed_times timestamptz[],
  flags smallint[],
  primary key (batch_id, first_index)
) partition by range (batch_id);

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

-- The arrays of texts repeat themselves. lz4 pays on the way in; pglz costs more time than it saves, so a server
-- without lz4 stores them as they are.
do $$
declare
  has_lz4 constant boolean := 'lz4' = any (enumvals) from pg_settings where name = 'default_toast_compression';
  column_name name;
begin
  for column_name in
    select attname from pg_attribute where attrelid = 'record_batches'::regclass and attnum > 0 and attndims > 0
  loop
    execute format('alter table record_batches alter column %I set ', column_name)
      || case when has_lz4 then 'compression lz4' else 'storage external' end;
  end loop;
end
$$;

create table record_batches_default partition of record_batches default;
comment on table record_batches_default is 'Holds records of days without a partition of their own, such as a day long past.';

-- A sample cannot see how many batches there are, and a planner that thinks they are few reads the whole table
-- to find one. So the number of distinct batch_id is given: nearly one a row. The attribute option rules every
-- later ANALYZE, the restored statistic rules until the first.
create function give_batch_id_statistics(partition regclass) returns void
  language plpgsql as
$$
begin
  execute format('alter table %s alter column batch_id set (n_distinct = -0.9, n_distinct_inherited = -0.9)', partition);
  perform pg_restore_attribute_stats(
    'schemaname', namespace.nspname::text, 'relname', class.relname::text, 'attname', 'batch_id',
    'inherited', class.relkind = 'p', 'version', current_setting('server_version_num')::int,
    'null_frac', 0::real, 'avg_width', 8, 'n_distinct', -0.9::real)
  from pg_class class join pg_namespace namespace on namespace.oid = class.relnamespace
  where class.oid = partition;
end
$$;
comment on function give_batch_id_statistics(regclass) is 'Tells the planner that nearly every row has a batch_id of its own; for record_batches and each of its partitions.';

select give_batch_id_statistics('record_batches');
select give_batch_id_statistics('record_batches_default');

-- An element by its subscript is found by unpacking the array and walking over those before: 2 to 4 µs a record, where
-- unnest takes 0.1 to 0.3, and for an array that is NULL 0.01.
create view records as
select
  batch_id,
  coalesce(indexes[place], first_index + place::integer - 1) as idx,
  time,
  severity,
  logger,
  message,
  record.attributes::jsonb as attributes,
  trace_id,
  span_id,
  event_name,
  severity_text,
  uptime,
  observed_time,
  record.flags
from record_batches
cross join lateral unnest(
  times, severities, loggers, messages, attributes,
  trace_ids, span_ids, event_names, severity_texts, uptimes, observed_times, flags
) with ordinality as record (
  time, severity, logger, message, attributes,
  trace_id, span_id, event_name, severity_text, uptime, observed_time, flags, place
);
comment on view records is 'A row per log record. Found through its batch: choose rows of batches first, then join on batch_id.';
comment on column records.batch_id is 'batches.id; together with idx the key of the record.';
comment on column records.idx is 'Its index in the batch as sent, from 0.';
comment on column records.time is 'When it happened; how that is known is in flags.';
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
