-- What GetDevice tells of a session, kept with it: the ledger of a device with very many sessions is never summed up.

alter table sessions
  add column first_received_at timestamptz,
  add column last_received_at timestamptz,
  add column batch_count bigint not null default 0,
  add column record_count bigint not null default 0;

-- Senders without a session have rows from here on too: they are listed with the others, and have no ranges.
insert into sessions (device_key, session_id, received, dropped, first_received_at, last_received_at, batch_count, record_count)
select device_key, session_id, '{}', '{}', min(received_at), max(received_at), count(*), sum(record_count)
from batches
group by device_key, session_id
on conflict (device_key, session_id) do update set
  first_received_at = excluded.first_received_at,
  last_received_at = excluded.last_received_at,
  batch_count = excluded.batch_count,
  record_count = excluded.record_count;

-- Sessions of which only dead letters are left.
update sessions set first_received_at = last_seen, last_received_at = last_seen
from devices where devices.key = device_key and first_received_at is null;

alter table sessions
  alter column first_received_at set not null,
  alter column last_received_at set not null;

-- By the beginning, which does not change: an index on the end would be written at every flush.
create index sessions_of_device on sessions (device_key, first_received_at, session_id);

comment on table sessions is 'Which batches of each session are settled, and how many there are; changes in the transaction that stores them.';
comment on column sessions.received is 'Sequences that are in batches, or as a whole in dead_letters because PostgreSQL refused them. Empty when a server named the session.';
comment on column sessions.first_received_at is 'received_at of its earliest batch.';
comment on column sessions.last_received_at is 'received_at of its latest batch.';
comment on column sessions.batch_count is 'Batches that were stored, declarations of drops among them.';
comment on column sessions.record_count is 'Records that were stored.';

-- The last declarations of one session, without reading those of others.
drop index drops_of_device;
create index drops_of_session on drops (device_key, session_id, batch_id);

alter table devices add column clock_offset_micros bigint;
comment on column devices.clock_offset_micros is 'By how many microseconds the latest time of the records of its last batch is after the received_at of that; negative: before. NULL: not known.';

-- Two consumers that notice it at once report it once.
create unique index incidents_clock_ahead on incidents (device_key, ((at at time zone 'UTC')::date))
  where kind = 'clock_ahead';
