-- Counts of the records, changed in the transaction that stores them.

create table log_statistics (
  minute timestamptz not null,
  severity smallint not null,
  record_count bigint not null,
  primary key (minute, severity)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

comment on table log_statistics is 'Stored records of the whole fleet per minute of their time and severity; equals count(*) over records.';
comment on column log_statistics.minute is 'Start of the minute of records.time.';
comment on column log_statistics.severity is 'records.severity';
comment on column log_statistics.record_count is 'Number of records.';

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

comment on table device_statistics is 'What each device sent per hour of arrival (received_at), independent of its clock.';
comment on column device_statistics.hour is 'Start of the hour of batches.received_at.';
comment on column device_statistics.device_key is 'devices.key';
comment on column device_statistics.batch_count is 'Stored batches.';
comment on column device_statistics.record_count is 'Stored records.';
comment on column device_statistics.error_count is 'Stored records of severity 17 (ERROR) and above.';
comment on column device_statistics.dead_letter_count is 'Records rejected and kept in dead_letters.';
comment on column device_statistics.bytes is 'Length of the batches as sent.';

-- The sums of a day, and what is older than it is kept for, are found by the hour alone.
create index device_statistics_by_hour on device_statistics (hour);
