-- How far the streams in Redis were: the memory outside of Redis that tells when it comes back on an older copy.

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

comment on table stream_positions is 'How far the stream of each shard in Redis was when a consumer last looked, every 2 s while it changes.';
comment on column stream_positions.shard is 'The number of the shard.';
comment on column stream_positions.process is 'The process of Redis that held it, and its replication history.';
comment on column stream_positions.epoch is 'Another one when the stream or its consumer group was created again.';
comment on column stream_positions.last_id is 'The id of the newest entry; 0-0: there was none.';
comment on column stream_positions.entries_added is 'How many were ever added.';
comment on column stream_positions.stored_before is 'All entries before this one were stored.';
comment on column stream_positions.waiting is 'Entries that were not stored yet, at most.';
comment on column stream_positions.at is 'When that was.';

comment on table incidents is 'What an operator should look at: something is not as it should be, and may be lost.';
comment on column incidents.kind is 'sequence_reused: a device sent two different batches under one session and sequence; both are stored. clock_ahead: records of a device are dated more than ten minutes after they were received; once per device and day (UTC). group_lost: a consumer group was destroyed; nothing is lost. stream_rewound: Redis came back on an older copy of its data. stream_lost: a stream was deleted. entries_lost: batches that were acknowledged and are neither stored nor in Redis.';
