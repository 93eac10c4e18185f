-- Retention stops and asks when it would remove more than it expects.

create table retention_requests (
  id int generated always as identity primary key,
  asked_at timestamptz not null default clock_timestamp(),
  reasons text[] not null,
  plan jsonb not null,
  confirmed_at timestamptz,
  done_at timestamptz
);

comment on table retention_requests is 'What consumers would remove as too old and do not without a confirmation (fleetlog retention confirm). At most one is open.';
comment on column retention_requests.id is 'What is confirmed.';
comment on column retention_requests.asked_at is 'When a consumer asked, by the clock of PostgreSQL.';
comment on column retention_requests.reasons is 'Why it asks.';
comment on column retention_requests.plan is 'A list of {table, days, rows, bytes}: exactly what a confirmation allows.';
comment on column retention_requests.confirmed_at is 'When it was confirmed; NULL: it waits.';
comment on column retention_requests.done_at is 'When all of it was removed, or nothing of it was left to remove.';

create table retention_clock (
  only_row boolean primary key default true check (only_row),
  checked_at timestamptz not null
);

comment on table retention_clock is 'One row: when retention last had nothing to ask. A clock that jumped since then is noticed by it.';
comment on column retention_clock.only_row is 'Always true.';
comment on column retention_clock.checked_at is 'By the clock of PostgreSQL.';

-- Drops are removed, and their days found, by the id alone.
create index drops_by_batch on drops (batch_id);
