-- How far each session is stored, what devices said they had to drop, and what waits for the time of their boot.

-- A session of a healthy device is one range. What a broken one can make of it must not grow without bound: beyond
-- 32 KiB only the lowest 1,000 ranges are remembered. The device is then told less than is stored.
create function bounded_ranges(ranges int8multirange) returns int8multirange
  language sql stable parallel safe
  return case when pg_column_size(ranges) <= 32768 then ranges
    else (select range_agg(range) from (select unnest(ranges) as range limit 1000) as lowest) end;
comment on function bounded_ranges(int8multirange) is 'The same ranges, or the lowest 1,000 of them.';

create function contiguous_until(ranges int8multirange) returns bigint
  language sql immutable parallel safe
  return case when ranges @> 1::bigint
    then (select upper(range) - 1 from unnest(ranges) as range limit 1) else 0 end;
comment on function contiguous_until(int8multirange) is 'The highest number up to which every number from 1 is in the ranges; 0 when 1 is not.';

-- How much of a session's progress rests on declarations alone, which anybody may have made.
create function dropped_count(received int8multirange, dropped int8multirange) returns numeric
  language sql immutable parallel safe
  return case when isempty(dropped) then 0 else (
    select coalesce(sum(upper(range)::numeric - lower(range)), 0)
    from unnest((dropped - received) * int8multirange(int8range(0, contiguous_until(received + dropped), '[]'))) as range
  ) end;
comment on function dropped_count(int8multirange, int8multirange) is 'How many of the numbers up to contiguous_until(received + dropped) were declared as dropped and not received.';

create table sessions (
  device_key int not null,
  session_id text not null,
  received int8multirange not null,
  dropped int8multirange not null,
  first_received_at timestamptz not null,
  last_received_at timestamptz not null,
  batch_count bigint not null default 0,
  record_count bigint not null default 0,
  booted_at timestamptz,
  has_undated boolean not null default false,
  primary key (device_key, session_id)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

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

-- By the beginning, which does not change: an index on the end would be written at every flush.
create index sessions_of_device on sessions (device_key, first_received_at, session_id);

-- The sessions that can be dated anew.
create index sessions_to_date on sessions (device_key, session_id) where has_undated and booted_at is not null;

create table drops (
  batch_id bigint primary key,
  device_key int not null,
  session_id text not null,
  first_sequence bigint not null,
  last_sequence bigint not null,
  reason text not null,
  received_at timestamptz not null
);

comment on table drops is 'Batches that devices declared as dropped: they will never arrive.';
comment on column drops.batch_id is 'batches.id of the batch with the declaration; rises with time.';
comment on column drops.device_key is 'devices.key';
comment on column drops.session_id is 'batches.session_id';
comment on column drops.first_sequence is 'The first dropped batch.';
comment on column drops.last_sequence is 'The last dropped batch.';
comment on column drops.reason is 'The reason that the device gave.';
comment on column drops.received_at is 'When a server received the declaration.';

-- The last declarations of one session, without reading those of others.
create index drops_of_session on drops (device_key, session_id, batch_id);

-- A device without a clock sends the uptime of its records. Their times are estimated from the reception of their batch,
-- until the device knows the time: a record with both says when the device booted, and the earlier ones are dated anew.
create table undated_batches (
  batch_id bigint primary key,
  device_key int not null,
  session_id text not null
);

comment on table undated_batches is 'Batches whose records have an uptime and an estimated time: they are dated anew once sessions.booted_at is known, or forgotten after 30 days.';
comment on column undated_batches.batch_id is 'batches.id';
comment on column undated_batches.device_key is 'devices.key';
comment on column undated_batches.session_id is 'batches.session_id';

create index undated_batches_of_session on undated_batches (device_key, session_id, batch_id);
