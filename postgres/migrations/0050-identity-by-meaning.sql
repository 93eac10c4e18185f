-- A batch that PostgreSQL refused as a whole has one dead letter, however often and in whatever encoding its device
-- sends it: such a batch is not in the ledger, which would recognise it.

alter table dead_letters add column digest bytea;
create unique index dead_letters_of_batch on dead_letters (device_id, session_id, sequence, digest) where digest is not null;

comment on column dead_letters.digest is 'batches.digest of a batch that PostgreSQL refused as a whole; NULL of all others.';
comment on column batches.digest is 'First 16 bytes of the SHA-256 of the batch in its canonical form: tells a retry, however it is encoded, from another batch under the same number.';
