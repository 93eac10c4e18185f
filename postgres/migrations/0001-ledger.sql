-- Who sends, and which batches of theirs are stored.

-- In two steps, because a float8 times an interval of one microsecond is exact below 2^53 only.
create function time_from_micros(micros bigint) returns timestamptz
  language sql stable parallel safe
  return timestamptz 'epoch' + (micros / 1000000) * interval '1 second' + (micros % 1000000) * interval '1 microsecond';
comment on function time_from_micros(bigint) is 'The time this many microseconds after 1970, exactly.';

create table devices (
  key int generated always as identity primary key,
  device_id text not null unique,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  batch_count bigint not null default 0,
  record_count bigint not null default 0,
  error_count bigint not null default 0,
  dead_letter_count bigint not null default 0,
  attributes jsonb not null default '{}',
  clock_offset_micros bigint,
  info jsonb,
  info_since timestamptz
)
-- Every flush updates the devices it holds: room in the page keeps those updates out of the indexes (HOT).
with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

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

create sequence batch_counter as int minvalue 0 maxvalue 1048575 cycle;
comment on sequence batch_counter is 'The low 20 bits of batches.id: one counter for all consumers, so that batches of the same millisecond get different ids.';

-- Unique unless 2^20 batches lie between two of the same millisecond; then the primary key refuses, and the
-- next attempt takes another number.
create function next_batch_id(received_at timestamptz) returns bigint
  language sql volatile parallel unsafe
  return (floor(extract(epoch from received_at) * 1000)::bigint << 20) | nextval('batch_counter');
comment on function next_batch_id(timestamptz) is 'A new batches.id: milliseconds of received_at << 20 | batch_counter, so ids rise with the time of arrival.';

-- The inverse of next_batch_id. Without a year in which milliseconds << 20 do not fit.
create function first_batch_id(received_at timestamptz) returns bigint
  language sql stable parallel safe
  return floor(
    extract(epoch from least(greatest(received_at, '1970-01-01 00:00Z'), '2240-01-01 00:00Z')) * 1000
  )::bigint << 20;
comment on function first_batch_id(timestamptz) is 'No batch received at this time or later has a lower batches.id, to the millisecond.';

create table batches (
  id bigint primary key,
  received_at timestamptz not null,
  first_time timestamptz not null,
  last_time timestamptz not null,
  sequence bigint not null,
  device_key int not null,
  record_count int not null,
  rejected_count int not null,
  severities int not null,
  bytes int not null,
  session_id text not null,
  digest bytea not null,
  attributes jsonb,
  unique (device_key, session_id, sequence, digest)
)
-- Rows are added, and after the retention deleted, hardly ever changed: a twentieth of them is reason enough to look, and
-- what is looked at once is frozen then.
with (
  autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_freeze_min_age = 0);
-- No foreign key to devices: devices are never deleted, and the lock it takes per batch would queue behind the
-- counters that other consumers are updating.

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

-- A walk meets the newest records first by the last time of their batch, the oldest first by the first time. With the id,
-- so that it passes over days that it need not read without looking at their rows.
create index batches_by_time on batches (last_time, id);
create index batches_by_first_time on batches (first_time, id);
create index batches_of_device on batches (device_key, last_time);
create index batches_of_device_by_first_time on batches (device_key, first_time);

-- Nearly all batches cover minutes, so whoever looks for those across a moment looks ten minutes around it. The few
-- of devices whose clock jumped are found here.
create index batches_long on batches (last_time) where last_time - first_time > interval '10 minutes';

-- Batches come in the order of received_at, so a summary of each few pages suffices: it takes 0.1 % of the room of a b-tree.
create index batches_by_received_at on batches using brin (received_at)
  with (autosummarize = on, pages_per_range = 16);
