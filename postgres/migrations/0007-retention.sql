-- Retention stops and asks when it would remove more than it expects.

create table retention_requests (
  id int generated always as identity primary key,
  asked_at timestamptz not null default clock_timestamp(),
  reasons text[] not null,
  plan jsonb not null,
  confirmed_at timestamptz,
  done_at timestamptz
);

comment on table retention_requests is 'Removals that wait for a confirmation (fleetlog retention confirm). At most one is open.';
comment on column retention_requests.id is 'The number to confirm.';
comment on column retention_requests.asked_at is 'When a consumer made the request, by the clock of PostgreSQL.';
comment on column retention_requests.reasons is 'Why a confirmation is needed.';
comment on column retention_requests.plan is 'A list of {table, days, rows, bytes}: exactly what a confirmation allows.';
comment on column retention_requests.confirmed_at is 'When it was confirmed; NULL: not yet.';
comment on column retention_requests.done_at is 'When all of it was removed.';

create table retention_clock (
  only_row boolean primary key default true check (only_row),
  checked_at timestamptz not null
);

comment on table retention_clock is 'One row: when retention last ran without having to ask. Shows a clock that jumped.';
comment on column retention_clock.only_row is 'Always true.';
comment on column retention_clock.checked_at is 'By the clock of PostgreSQL.';
