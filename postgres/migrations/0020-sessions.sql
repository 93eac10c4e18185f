-- How far each session is stored, and what devices said they had to drop.

-- A session of a healthy device is one range. What a broken one can make of it must not grow without bound: beyond
-- 32 KiB only the lowest 1,000 ranges are remembered. The device is then told less than is stored.
create function bounded_ranges(ranges int8multirange) returns int8multirange
  language sql stable parallel safe
  return case when pg_column_size(ranges) <= 32768 then ranges
    else (select range_agg(range) from (select unnest(ranges) as range limit 1000) as lowest) end;
comment on function bounded_ranges(int8multirange) is 'The same ranges, or the lowest 1,000 of them when they are many.';

create function contiguous_until(ranges int8multirange) returns bigint
  language sql immutable parallel safe
  return case when ranges @> 1::bigint
    then (select upper(range) - 1 from unnest(ranges) as range limit 1) else 0 end;
comment on function contiguous_until(int8multirange) is 'The highest number up to which every number from 1 is in the ranges; 0 when 1 is not.';

create table sessions (
  device_key int not null,
  session_id text not null,
  received int8multirange not null,
  dropped int8multirange not null,
  primary key (device_key, session_id)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

comment on table sessions is 'Which batches of each session are settled; changes in the transaction that stores them. Not for senders without a session.';
comment on column sessions.device_key is 'devices.key';
comment on column sessions.session_id is 'batches.session_id';
comment on column sessions.received is 'Sequences that are in batches, or as a whole in dead_letters because PostgreSQL refused them.';
comment on column sessions.dropped is 'Sequences that the device declared as dropped.';

insert into sessions (device_key, session_id, received, dropped)
select device_key, session_id, bounded_ranges(range_agg(range)), '{}'
from (
  select device_key, session_id,
    int8range(least(sequence, 9223372036854775806), least(sequence, 9223372036854775806), '[]') as range
  from batches where session_id not like '~%'
) as stored
group by device_key, session_id;

create table drops (
  batch_id bigint primary key,
  device_key int not null,
  session_id text not null,
  first_sequence bigint not null,
  last_sequence bigint not null,
  reason text not null,
  received_at timestamptz not null
);
create index drops_of_device on drops (device_key, batch_id);

comment on table drops is 'What devices declared as lost: batches of a session that will never come.';
comment on column drops.batch_id is 'batches.id of the batch that said so; rises with the time.';
comment on column drops.device_key is 'devices.key';
comment on column drops.session_id is 'batches.session_id';
comment on column drops.first_sequence is 'The first missing batch.';
comment on column drops.last_sequence is 'The last missing batch.';
comment on column drops.reason is 'Why, in the words of the device.';
comment on column drops.received_at is 'When a server was told.';

comment on column incidents.kind is 'sequence_reused: a device sent two different batches under one session and sequence, both are stored. entries_lost: somebody removed entries from a stream before they were stored. stream_lost, group_lost: somebody took a stream, or its consumer group, away.';
