-- The trace, the span and the name of the event of a record, as in OpenTelemetry: one column for all that few records
-- have. It is the eighth: a ninth column with a NULL in it would make every row 8 bytes longer.

create type record_extra as (
  trace_id bytea,
  span_id bytea,
  event_name text
);
comment on type record_extra is 'What few records have: the trace (16 bytes), the span within it (8 bytes), and what kind of event it is; NULL for none.';

alter table records add column extra record_extra;
comment on column records.extra is 'What few records have: trace_id, span_id, event_name; NULL when it has none of it.';

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
  coalesce(records.attributes, '{}') as attributes,
  (records.extra).trace_id,
  (records.extra).span_id,
  (records.extra).event_name
from records
join batches on batches.id = records.batch_id
join devices on devices.key = batches.device_key;
