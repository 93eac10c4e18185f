-- What finding a rare word in months of records needs, and what tables need that only ever grow at one end.

-- Indexes on texts are built on closed partitions, by the consumers. A PostgreSQL without the extension, or whose owner
-- may not create one, goes without them.
do $$
begin
  create extension if not exists pg_trgm;
exception when undefined_file or feature_not_supported or insufficient_privilege then
  raise warning 'pg_trgm: %; texts will not be indexed', sqlerrm;
end
$$;

-- With the id, so that a walk by time passes over days that it need not read without looking at their rows.
drop index batches_by_time;
create index batches_by_time on batches (last_time, id);
drop index batches_by_first_time;
create index batches_by_first_time on batches (first_time, id);

-- Rows are added, and after the retention deleted, never changed: a twentieth of them is reason enough to look, and what
-- is looked at once is frozen then.
alter table batches set (
  autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_freeze_min_age = 0);

-- The sums of a day, and what is older than it is kept for, are found by the hour alone.
create index device_statistics_by_hour on device_statistics (hour);
