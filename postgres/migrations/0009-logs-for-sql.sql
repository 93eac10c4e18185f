-- What people query by SQL. The planner cannot know that a record of a time lies in a batch of that time, so a range of
-- time or received_at in a WHERE does not tell it which batches, and so which days, to read: it looks into all of them.
-- The functions say it. Each is one SELECT, which the planner puts in the place of the call.

create function severity_name(severity smallint) returns text
  language sql immutable parallel safe
  return (array['TRACE', 'TRACE2', 'TRACE3', 'TRACE4', 'DEBUG', 'DEBUG2', 'DEBUG3', 'DEBUG4', 'INFO', 'INFO2', 'INFO3',
    'INFO4', 'WARN', 'WARN2', 'WARN3', 'WARN4', 'ERROR', 'ERROR2', 'ERROR3', 'ERROR4', 'FATAL', 'FATAL2', 'FATAL3',
    'FATAL4'])[severity];
comment on function severity_name(smallint) is 'The name of a severity, such as WARN2 for 14; NULL for 0.';

create view logs as
select
  records.time,
  batches.received_at,
  devices.device_id,
  batches.session_id,
  batches.sequence,
  records.idx,
  records.severity,
  coalesce(records.severity_text, severity_name(records.severity), '') as severity_text,
  records.logger,
  records.message,
  coalesce(batches.attributes || records.attributes, records.attributes, batches.attributes, '{}') as attributes,
  records.trace_id,
  records.span_id,
  records.event_name,
  records.uptime * interval '1 microsecond' / 1000 as uptime,
  records.observed_time,
  coalesce(records.flags & 1, 0) = 1 as is_text_repaired,
  (array['device', 'boot time', 'uptime', 'observed', 'received'])[1 + coalesce(records.flags >> 1, 0)]
    as time_source,
  records.batch_id
from records
join batches on batches.id = records.batch_id
join devices on devices.key = batches.device_key;
comment on view logs is 'Every stored record with its device, session and sequence, for SQL, Grafana and BI tools. For a range of time use logs_between() or logs_received_between() in its place: they read the batches and days of the range alone. docs/SQL.md has examples.';
comment on column logs.time is 'When it happened; see time_source.';
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

-- The batch of a record begins and ends within ten minutes, or is in the index batches_long. OFFSET 0 keeps the planner
-- from joining in another order: by each batch it finds the partition, and in it the row. Otherwise it
-- estimates that every partition is looked into for every batch, and reads all of them instead.
create function logs_between(from_time timestamptz, to_time timestamptz) returns setof logs
  language sql stable parallel safe rows 100000
begin atomic
  select
    records.time,
    batches.received_at,
    devices.device_id,
    batches.session_id,
    batches.sequence,
    records.idx,
    records.severity,
    coalesce(records.severity_text, severity_name(records.severity), ''),
    records.logger,
    records.message,
    coalesce(batches.attributes || records.attributes, records.attributes, batches.attributes, '{}'),
    records.trace_id,
    records.span_id,
    records.event_name,
    records.uptime * interval '1 microsecond' / 1000,
    records.observed_time,
    coalesce(records.flags & 1, 0) = 1,
    (array['device', 'boot time', 'uptime', 'observed', 'received'])[1 + coalesce(records.flags >> 1, 0)],
    records.batch_id
  from (
    select * from batches
    where last_time >= from_time and last_time < to_time + interval '10 minutes' and first_time <= to_time
      and last_time - first_time <= interval '10 minutes'
    union all
    select * from batches
    where last_time >= from_time and first_time <= to_time and last_time - first_time > interval '10 minutes'
  ) as batches
  join devices on devices.key = batches.device_key
  cross join lateral (
    select * from records where batch_id = batches.id and time between from_time and to_time offset 0
  ) as records;
end;
comment on function logs_between(timestamptz, timestamptz) is 'The rows of logs with a time between these two, both included. Reads only the batches of that time: give it the range of a panel.';

create function logs_received_between(from_time timestamptz, to_time timestamptz) returns setof logs
  language sql stable parallel safe rows 100000
begin atomic
  select * from logs
  where received_at between from_time and to_time
    and batch_id >= first_batch_id(from_time)
    and batch_id < first_batch_id(to_time + interval '1 millisecond');
end;
comment on function logs_received_between(timestamptz, timestamptz) is 'The rows of logs received between these two times, both included. Reads only the days of that time.';

-- All batches that end by `until` and do not begin before some time hold `count` records: none of the newest is older.
create function newest_logs(count integer, until timestamptz default now() + interval '10 minutes')
  returns setof logs
  language sql stable parallel safe rows 1000
begin atomic
  select logs.*
  from (
    select coalesce((
      select first_time from (
        select first_time, sum(record_count) over (order by first_time desc, id desc rows unbounded preceding) as records
        from batches where first_time <= until and last_time <= until
      ) as newest
      where records >= count limit 1
    ), '-infinity') as first_time
  ) as edge
  cross join lateral logs_between(edge.first_time, until) as logs
  order by time desc, batch_id desc, idx desc
  limit count;
end;
comment on function newest_logs(integer, timestamptz) is 'The newest rows of logs by time, up to a time: by default ten minutes from now, which leaves out records of clocks that are far ahead.';
