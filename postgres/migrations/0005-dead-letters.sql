-- What could not be stored. A sender of nothing but bad records cannot fill the disk: of each batch, and of each device, a
-- bounded number of dead letters is kept. What is beyond is counted in a dead letter that summarizes several records.

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
  entry text,
  replayed_at timestamptz,
  replayed_batch bigint,
  digest bytea,
  record_count int not null default 1,
  is_json boolean not null default false,
  minute timestamptz
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

create index dead_letters_of_device on dead_letters (device_id, id);
create index dead_letters_at on dead_letters (at);
-- An entry that could not become a batch is not in the ledger, so this keeps its retry out. With the bytes,
-- because the ids of a stream can step back after a crash of Redis.
create unique index dead_letters_entry on dead_letters (entry, sha256(raw)) where entry is not null;
-- A batch that PostgreSQL refused as a whole has one dead letter, however often and in whatever encoding its device
-- sends it: such a batch is not in the ledger, which would recognise it.
create unique index dead_letters_of_batch on dead_letters (device_id, session_id, sequence, digest) where digest is not null;
create unique index dead_letters_of_minute on dead_letters (device_id, minute) where minute is not null;
