-- The records, one partition per day of arrival, and the view people query.

create table records (
  batch_id bigint not null,
  time timestamptz not null,
  idx int not null,
  severity smallint not null,
  logger text not null,
  message text not null,
  attributes jsonb
) partition by range (batch_id);

-- Rising and repeated keys: deduplication makes this 6 bytes a record.
create index records_of_batch on records (batch_id);
create index records_by_time on records using brin (time) with (autosummarize = on);

create table records_default partition of records default;

comment on table records is 'One row per log record. Found through its batch: choose rows of batches first, then join on batch_id. Partitions are days of arrival (UTC), named records_YYYYMMDD.';
comment on table records_default is 'Catches records of days that have no partition of their own, such as a day long past.';
comment on column records.batch_id is 'batches.id; together with idx the key of the record.';
comment on column records.time is 'When it happened by the clock of the device; received_at of the batch if the device gave none.';
comment on column records.idx is 'Its place in the batch as sent, from 0.';
comment on column records.severity is '0 to 24, the numbers of OpenTelemetry: 9 INFO, 13 WARN, 17 ERROR, 21 FATAL.';
comment on column records.logger is 'The part of the device that speaks; empty if unknown.';
comment on column records.message is 'The text.';
comment on column records.attributes is 'What else is known, by name; NULL when nothing is.';

-- A sample cannot see how many batches there are, and a planner that thinks they are few reads the whole table
-- to find one. So the number of distinct batch_id is given: one in a hundred rows. The attribute option rules
-- every later ANALYZE, the restored statistic rules until the first.
create function give_batch_id_statistics(partition regclass) returns void
  language plpgsql as
$$
begin
  execute format('alter table %s alter column batch_id set (n_distinct = -0.01, n_distinct_inherited = -0.01)', partition);
  perform pg_restore_attribute_stats(
    'schemaname', namespace.nspname::text, 'relname', class.relname::text, 'attname', 'batch_id',
    'inherited', class.relkind = 'p', 'version', current_setting('server_version_num')::int,
    'null_frac', 0::real, 'avg_width', 8, 'n_distinct', -0.01::real)
  from pg_class class join pg_namespace namespace on namespace.oid = class.relnamespace
  where class.oid = partition;
end
$$;
comment on function give_batch_id_statistics(regclass) is 'Tells the planner that batch_id has one distinct value in a hundred rows; for records and each of its partitions.';

select give_batch_id_statistics('records');
select give_batch_id_statistics('records_default');

create view logs as
select
  records.time,
  batches.received_at,
  devices.device_id,
  batches.session_id,
  batches.sequence,
  records.idx,
  records.severity,
  records.logger,
  records.message,
  coalesce(records.attributes, '{}') as attributes
from records
join batches on batches.id = records.batch_id
join devices on devices.key = batches.device_key;

comment on view logs is 'Every stored record with its device, session and sequence: for SQL, Grafana and BI tools. Give a device_id and a range of received_at or time.';
