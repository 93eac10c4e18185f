-- What is written beside the records, in the same transaction.

create table log_statistics (
  minute timestamptz not null,
  severity smallint not null,
  record_count bigint not null,
  primary key (minute, severity)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

comment on table log_statistics is 'Stored records of the whole fleet per minute of their time and severity; equals count(*) over records.';
comment on column log_statistics.minute is 'Start of the minute of records.time.';
comment on column log_statistics.severity is 'records.severity';
comment on column log_statistics.record_count is 'How many.';

create table device_statistics (
  hour timestamptz not null,
  device_key int not null,
  batch_count bigint not null,
  record_count bigint not null,
  error_count bigint not null,
  dead_letter_count bigint not null,
  bytes bigint not null,
  primary key (device_key, hour)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

comment on table device_statistics is 'What each device sent per hour of arrival (received_at), whatever its clock says.';
comment on column device_statistics.hour is 'Start of the hour of batches.received_at.';
comment on column device_statistics.device_key is 'devices.key';
comment on column device_statistics.batch_count is 'Stored batches.';
comment on column device_statistics.record_count is 'Stored records.';
comment on column device_statistics.error_count is 'Stored records of severity 17 (ERROR) and above.';
comment on column device_statistics.dead_letter_count is 'Records refused and kept in dead_letters.';
comment on column device_statistics.bytes is 'Length of the batches as sent.';

create table dead_letters (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  received_at timestamptz,
  device_id text,
  session_id text,
  sequence bigint,
  idx int,
  reason text not null,
  raw bytea not null,
  raw_bytes int not null,
  entry text
);
create index dead_letters_of_device on dead_letters (device_id, id);
create index dead_letters_at on dead_letters (at);
-- An entry that could not become a batch is not in the ledger, so this keeps its retry out. With the bytes,
-- because the ids of a stream can step back after a crash of Redis.
create unique index dead_letters_entry on dead_letters (entry, sha256(raw)) where entry is not null;

comment on table dead_letters is 'What could not be stored, with the reason: single records (idx is set), whole batches, and entries of the stream that are no batch.';
comment on column dead_letters.id is 'Rises with the time.';
comment on column dead_letters.at is 'When it was put here.';
comment on column dead_letters.received_at is 'When a server had the batch; NULL if the entry does not say.';
comment on column dead_letters.device_id is 'Who sent it; NULL if the entry does not say.';
comment on column dead_letters.session_id is 'batches.session_id';
comment on column dead_letters.sequence is 'batches.sequence';
comment on column dead_letters.idx is 'The place of the record in its batch, from 0; NULL when this is a whole batch or entry.';
comment on column dead_letters.reason is 'What is wrong, with the value and the limit.';
comment on column dead_letters.raw is 'The bytes of the record, batch or entry as sent, cut at 64 KiB.';
comment on column dead_letters.raw_bytes is 'Their length before the cut.';
comment on column dead_letters.entry is 'Stream and id of the entry, when the whole batch is here and not in batches.';

create table incidents (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  kind text not null,
  device_key int,
  details jsonb not null
);
create index incidents_at on incidents (at);

comment on table incidents is 'What an operator should look at: nothing is lost, but something is not as it should be.';
comment on column incidents.id is 'Rises with the time.';
comment on column incidents.at is 'When it was noticed.';
comment on column incidents.kind is 'sequence_reused: a device sent two different batches under one session and sequence; both are stored.';
comment on column incidents.device_key is 'devices.key';
comment on column incidents.details is 'What the kind needs to be followed up.';
