-- Who sends, and which batches of theirs are stored.

-- In two steps, because a float8 times an interval of one microsecond is exact below 2^53 only.
create function time_from_micros(micros bigint) returns timestamptz
  language sql stable parallel safe
  return timestamptz 'epoch' + (micros / 1000000) * interval '1 second' + (micros % 1000000) * interval '1 microsecond';
comment on function time_from_micros(bigint) is 'The moment so many microseconds after 1970, exactly.';

create table devices (
  key int generated always as identity primary key,
  device_id text not null unique,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  batch_count bigint not null default 0,
  record_count bigint not null default 0,
  error_count bigint not null default 0,
  dead_letter_count bigint not null default 0,
  attributes jsonb not null default '{}'
)
-- Every flush updates the devices it holds: room in the page keeps those updates out of the indexes (HOT).
with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

comment on table devices is 'One row per device that ever sent a batch. The counts change in the transaction that stores the records, so they are exact.';
comment on column devices.key is 'Stands for the device in every other table.';
comment on column devices.device_id is 'The name the device gives itself: 1 to 128 of A-Z a-z 0-9 . _ : -';
comment on column devices.first_seen is 'received_at of its earliest batch.';
comment on column devices.last_seen is 'received_at of its latest batch.';
comment on column devices.batch_count is 'Stored batches.';
comment on column devices.record_count is 'Stored records.';
comment on column devices.error_count is 'Stored records of severity 17 (ERROR) and above.';
comment on column devices.dead_letter_count is 'Records refused and kept in dead_letters.';
comment on column devices.attributes is 'What else is known of the device, such as its firmware; written by operators.';

create sequence batch_counter as int minvalue 0 maxvalue 1048575 cycle;
comment on sequence batch_counter is 'The low 20 bits of batches.id: one counter for all consumers, so that batches of the same millisecond get different ids.';

-- Unique unless 2^20 batches lie between two of the same millisecond; then the primary key refuses, and the
-- next attempt takes another number.
create function next_batch_id(received_at timestamptz) returns bigint
  language sql volatile parallel unsafe
  return (floor(extract(epoch from received_at) * 1000)::bigint << 20) | nextval('batch_counter');
comment on function next_batch_id(timestamptz) is 'A new batches.id: milliseconds of received_at << 20 | batch_counter, so ids rise with the time of arrival.';

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
  unique (device_key, session_id, sequence, digest)
);
-- No foreign key to devices: devices are never deleted, and the lock it takes per batch would queue behind the
-- counters that other consumers are updating.

create index batches_of_device on batches (device_key, last_time);
create index batches_by_time on batches (last_time);

comment on table batches is 'The ledger of what is stored, and the index of the records: one row per batch. Not partitioned, because a retry after midnight must still meet its twin.';
comment on column batches.id is 'Milliseconds of received_at << 20 | batch_counter. Rises with the time of arrival; records are partitioned by it.';
comment on column batches.received_at is 'When a server first had the batch; stamped once.';
comment on column batches.first_time is 'The earliest time of its records; received_at if it has none.';
comment on column batches.last_time is 'The latest time of its records; received_at if it has none.';
comment on column batches.sequence is 'The number of the batch in its session, from 1.';
comment on column batches.device_key is 'devices.key';
comment on column batches.record_count is 'Records stored in records.';
comment on column batches.rejected_count is 'Records refused and kept in dead_letters.';
comment on column batches.severities is 'Which severities its records have: bit s is set when one has severity s.';
comment on column batches.bytes is 'Length of the batch as sent.';
comment on column batches.session_id is 'The boot of the device; begins with ~ when a server named it for a sender without state.';
comment on column batches.digest is 'First 16 bytes of the SHA-256 of the batch as sent: tells a retry from another batch under the same number.';
