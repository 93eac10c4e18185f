-- A dead letter that came back is kept, and says as what it is stored.

alter table dead_letters add column replayed_at timestamptz, add column replayed_batch bigint;

comment on column dead_letters.raw is 'The bytes of the record, batch or entry as sent, cut at 64 KiB; a batch that PostgreSQL refused as a whole is not cut.';
comment on column dead_letters.replayed_at is 'When what it holds was stored after all; set in the transaction that stored it. NULL: it was not.';
comment on column dead_letters.replayed_batch is 'batches.id of the batch as which it is stored.';
