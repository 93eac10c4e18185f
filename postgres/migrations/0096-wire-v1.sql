-- What records and batches hold since attributes have types and batches have attributes of their own. Records keep only
-- theirs: attributes of a batch are stored once, and the view merges them.

alter type record_extra
  add attribute severity_text text,
  add attribute uptime bigint,
  add attribute observed_time timestamptz,
  add attribute flags smallint;
comment on type record_extra is 'What few records have, NULL for none: the trace (16 bytes), the span within it (8 bytes), what kind of event it is, the severity in the words of its source, the time since the device booted (ns), when a collector first saw it, and flags (bit 0: a text was repaired; bits 1 to 3: how its time is known, TimeSource in query.proto).';

alter table batches add column attributes jsonb;
comment on column batches.attributes is 'The attributes of all its records; NULL when it has none.';
comment on column records.attributes is 'The attributes of the record alone, as JSON values; NULL when it has none. Those of its batch: batches.attributes.';
comment on column records.extra is 'What few records have, see the type record_extra; NULL when it has none of it.';

create or replace view logs as
select
  records.time,
  batches.received_at,
  devices.device_id,
  batches.session_id,
  batches.sequence,
  records.idx,
  records.severity,
  records.logger,
  records.message,
  coalesce(batches.attributes || records.attributes, records.attributes, batches.attributes, '{}') as attributes,
  (records.extra).trace_id,
  (records.extra).span_id,
  (records.extra).event_name,
  (records.extra).severity_text,
  (records.extra).uptime,
  (records.extra).observed_time,
  (records.extra).flags
from records
join batches on batches.id = records.batch_id
join devices on devices.key = batches.device_key;
