-- The comments of tables and columns, in the words of docs/GLOSSARY.md.

comment on function bounded_ranges(int8multirange) is 'The same ranges, or the lowest 1,000 of them.';
comment on function time_from_micros(bigint) is 'The time this many microseconds after 1970, exactly.';

comment on table batches is 'The ledger of stored batches and the index of their records, one row per batch. Not partitioned: a retry after midnight must still find its first copy.';
comment on column batches.received_at is 'When a server first received the batch; set once.';
comment on column batches.first_time is 'The earliest time of its records; received_at without records.';
comment on column batches.last_time is 'The latest time of its records; received_at without records.';
comment on column batches.rejected_count is 'Records rejected and kept in dead_letters.';
comment on column batches.severities is 'The severities of its records as bits: bit s is set when a record has severity s.';
comment on column batches.session_id is 'The boot of the device. Starts with ~ when a server assigned it to a sender without state.';
comment on column batches.digest is 'First 16 bytes of the SHA-256 of the batch in its canonical form. Equal digests mean a retry, however it is encoded; another digest under the same number means another batch.';

comment on table dead_letters is 'Everything that could not be stored, with the reason: single records (idx is set), whole batches and malformed stream entries (entry is set), and summaries of several records (neither is set).';
comment on column dead_letters.id is 'Rises with time.';
comment on column dead_letters.at is 'When it was stored here.';
comment on column dead_letters.received_at is 'When a server received the batch; NULL if the entry has no time.';
comment on column dead_letters.device_id is 'The sender; NULL if the entry has none.';
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

comment on table device_statistics is 'What each device sent per hour of arrival (received_at), independent of its clock.';
comment on column device_statistics.dead_letter_count is 'Records rejected and kept in dead_letters.';
comment on column devices.key is 'Identifies the device in every other table.';
comment on column devices.device_id is 'The identifier that the device sends: 1 to 128 of A-Z a-z 0-9 . _ : -';
comment on column devices.dead_letter_count is 'Records rejected and kept in dead_letters.';
comment on column devices.attributes is 'Further facts about the device, such as its firmware; written by operators.';
comment on column devices.clock_offset_micros is 'Latest record time of its last batch minus the received_at of that batch, in microseconds; NULL: not known.';

comment on table drops is 'Batches that devices declared as dropped: they will never arrive.';
comment on column drops.batch_id is 'batches.id of the batch with the declaration; rises with time.';
comment on column drops.first_sequence is 'The first dropped batch.';
comment on column drops.last_sequence is 'The last dropped batch.';
comment on column drops.reason is 'The reason that the device gave.';
comment on column drops.received_at is 'When a server received the declaration.';

comment on table incidents is 'Events for an operator to check: data may be lost, or a device misbehaves.';
comment on column incidents.id is 'Rises with time.';
comment on column incidents.at is 'When it was detected.';
comment on column incidents.details is 'Data to follow it up; its keys depend on the kind.';

comment on column log_statistics.record_count is 'Number of records.';
comment on column records."time" is 'When it happened by the clock of the device; received_at of the batch if the device sent none.';
comment on column records.idx is 'Index in the batch as sent, from 0.';
comment on column records.logger is 'The component that logged it; empty if unknown.';
comment on column records.attributes is 'Further fields by name; NULL without any.';
comment on table records_default is 'Records of days without a partition of their own, such as a day long past.';

comment on table retention_clock is 'One row: when retention last ran without having to ask. Shows a clock that jumped.';
comment on column retention_clock.checked_at is 'By the clock of PostgreSQL.';
comment on table retention_requests is 'Removals that wait for a confirmation (fleetlog retention confirm). At most one is open.';
comment on column retention_requests.id is 'The number to confirm.';
comment on column retention_requests.asked_at is 'When a consumer made the request, by the clock of PostgreSQL.';
comment on column retention_requests.reasons is 'Why a confirmation is needed.';
comment on column retention_requests.confirmed_at is 'When it was confirmed; NULL: not yet.';
comment on column retention_requests.done_at is 'When all of it was removed.';

comment on table sessions is 'The settled batches of each session and their number, changed in the transaction that stores them.';
comment on column sessions.received is 'Sequences in batches, or as a whole in dead_letters because PostgreSQL refused them. Empty when a server assigned the session.';
comment on column sessions.batch_count is 'Stored batches, including declarations of drops.';
comment on column sessions.record_count is 'Stored records.';

comment on table stream_positions is 'The position of each shard''s stream in Redis at the last check, every 2 s while it changes.';
comment on column stream_positions.process is 'The Redis process that served it, and its replication history.';
comment on column stream_positions.epoch is 'Changes when the stream or its consumer group is created again.';
comment on column stream_positions.last_id is 'Id of the newest entry; 0-0 without entries.';
comment on column stream_positions.entries_added is 'Number of entries ever added.';
comment on column stream_positions.stored_before is 'All entries before this id are stored.';
comment on column stream_positions.waiting is 'Entries not yet stored, at most.';
comment on column stream_positions.at is 'When it was checked.';
