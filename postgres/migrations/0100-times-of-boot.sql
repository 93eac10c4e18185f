-- A device without a clock sends the uptime of its records. Their times are estimated from the reception of their batch,
-- until the device knows the time: a record with both says when the device booted, and the earlier ones are dated anew.

alter table sessions add column booted_at timestamptz;
comment on column sessions.booted_at is 'When the device booted by its own clock: the latest of what records with a time and an uptime say. NULL: not known.';
alter table sessions add column has_undated boolean not null default false;
comment on column sessions.has_undated is 'False: no row of undated_batches is of this session.';

-- The sessions that can be dated anew.
create index sessions_to_date on sessions (device_key, session_id) where has_undated and booted_at is not null;

create table undated_batches (
  batch_id bigint primary key,
  device_key integer not null,
  session_id text not null
);
comment on table undated_batches is 'Batches whose records have an uptime and an estimated time: they are dated anew once sessions.booted_at is known, or forgotten after 30 days.';
comment on column undated_batches.batch_id is 'batches.id';
comment on column undated_batches.device_key is 'devices.key';
comment on column undated_batches.session_id is 'batches.session_id';

create index undated_batches_of_session on undated_batches (device_key, session_id, batch_id);

comment on column records.time is 'When it happened by the clock of the device. If the device sent no time: by its uptime and the time of its boot, else estimated from its uptime and the reception of its batch, else when a collector observed it, else received_at of the batch. Bits 1 to 3 of extra.flags say which.';
