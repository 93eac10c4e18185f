-- What an operator has to look at, and what it is noticed by.

create table incidents (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  kind text not null,
  device_key int,
  details jsonb not null
);

comment on table incidents is 'Events for an operator to check: data may be lost, or a device misbehaves.';
comment on column incidents.id is 'Rises with time.';
comment on column incidents.at is 'When it was detected.';
comment on column incidents.kind is 'sequence_reused: a device sent two different batches under one session and sequence; both are stored. clock_ahead: records of a device are dated more than ten minutes after they were received; once per device and day (UTC). group_lost: a consumer group was destroyed; nothing is lost. stream_rewound: Redis came back on an older copy of its data. stream_lost: a stream was deleted. entries_lost: batches that were acknowledged and are neither stored nor in Redis.';
comment on column incidents.device_key is 'devices.key';
comment on column incidents.details is 'Data to follow it up; its keys depend on the kind.';

create index incidents_at on incidents (at);
-- Two consumers that notice it at once report it once.
create unique index incidents_clock_ahead on incidents (device_key, ((at at time zone 'UTC')::date))
  where kind = 'clock_ahead';

-- The memory outside of Redis that tells when it comes back on an older copy.
create table stream_positions (
  shard int primary key,
  process text not null,
  epoch text not null,
  last_id text not null,
  entries_added bigint not null,
  stored_before text not null,
  waiting bigint not null,
  at timestamptz not null default now()
);

comment on table stream_positions is 'The position of each shard''s stream in Redis at the last check, every 2 s while it changes.';
comment on column stream_positions.shard is 'The number of the shard.';
comment on column stream_positions.process is 'The Redis process that served it, and its replication history.';
comment on column stream_positions.epoch is 'Changes when the stream or its consumer group is created again.';
comment on column stream_positions.last_id is 'Id of the newest entry; 0-0 without entries.';
comment on column stream_positions.entries_added is 'Number of entries ever added.';
comment on column stream_positions.stored_before is 'All entries before this id are stored.';
comment on column stream_positions.waiting is 'Entries not yet stored, at most.';
comment on column stream_positions.at is 'When it was checked.';
