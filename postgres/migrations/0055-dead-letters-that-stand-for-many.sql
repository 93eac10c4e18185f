-- A sender of nothing but bad records cannot fill the disk: of each batch, and of each device, a bounded number of dead
-- letters is kept. What is beyond is counted in a letter that stands for many.

alter table dead_letters
  add column record_count int not null default 1,
  add column is_json boolean not null default false,
  add column minute timestamptz;
create unique index dead_letters_of_minute on dead_letters (device_id, minute) where minute is not null;

comment on table dead_letters is 'What could not be stored, with the reason: single records (idx is set), whole batches and entries of the stream that are no batch (entry is set), and letters that stand for many records (neither is set).';
comment on column dead_letters.record_count is 'How many records it stands for; 1 unless neither idx nor entry is set. sum(record_count) over the records equals devices.dead_letter_count.';
comment on column dead_letters.is_json is 'raw is a record as JSON text, as it was sent.';
comment on column dead_letters.minute is 'Start of the minute in which a consumer counted these records of the device and kept none of them but the first; NULL for every other letter.';
comment on column dead_letters.idx is 'The place of the record in its batch, from 0; NULL when this is a whole batch or entry, or stands for many records.';
comment on column dead_letters.raw is 'The bytes of the record, batch or entry as sent, cut at 64 KiB; what a server had acknowledged and PostgreSQL refused is not cut. Of a letter that stands for the other records of a batch: these records, as the records of a LogBatch, as many as fit.';
