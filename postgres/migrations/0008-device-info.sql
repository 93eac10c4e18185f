-- What a device said about itself, and how that changed. devices.info has the newest.

-- A row is a time in which a device said the same again and again. Batches may arrive in any order; a row remembers its
-- end, so that a late batch which says something else is known to lie within it.
create table device_info_history (
  device_key integer not null,
  received_at timestamptz not null,
  sequence bigint not null,
  last_received_at timestamptz not null,
  info jsonb not null,
  primary key (device_key, received_at, sequence)
);
comment on table device_info_history is 'What each device said about itself: a row per change, the newest 100 of each device.';
comment on column device_info_history.device_key is 'devices.key';
comment on column device_info_history.received_at is 'When a server received the first batch that said so.';
comment on column device_info_history.sequence is 'The sequence of that batch: the order within a millisecond.';
comment on column device_info_history.last_received_at is 'When a server received the last batch that said so.';
comment on column device_info_history.info is 'As devices.info.';

create function note_device_info(device integer, at timestamptz, number bigint, said jsonb) returns void
language plpgsql as $$
declare
  before device_info_history;
  after device_info_history;
  newest device_info_history;
begin
  select * into before from device_info_history
    where device_key = device and (received_at, sequence) <= (at, number)
    order by received_at desc, sequence desc limit 1;
  if before.info = said then
    update device_info_history set last_received_at = at
      where (device_key, received_at, sequence) = (device, before.received_at, before.sequence) and last_received_at < at;
    return;
  end if;
  select * into after from device_info_history
    where device_key = device and (received_at, sequence) > (at, number)
    order by received_at, sequence limit 1;
  if before.last_received_at > at then
    update device_info_history set last_received_at = received_at
      where (device_key, received_at, sequence) = (device, before.received_at, before.sequence);
    insert into device_info_history (device_key, received_at, sequence, last_received_at, info) values
      (device, at, number, at, said),
      (device, before.last_received_at, 0, before.last_received_at, before.info);
  elsif after.info = said then
    update device_info_history set received_at = at, sequence = number
      where (device_key, received_at, sequence) = (device, after.received_at, after.sequence);
  else
    insert into device_info_history (device_key, received_at, sequence, last_received_at, info)
      values (device, at, number, at, said);
  end if;
  delete from device_info_history
    where device_key = device and (received_at, sequence) <= (
      select received_at, sequence from device_info_history where device_key = device
      order by received_at desc, sequence desc offset 100 limit 1);
  select * into newest from device_info_history
    where device_key = device order by received_at desc, sequence desc limit 1;
  update devices set info = newest.info, info_since = newest.received_at
    where key = device and (info, info_since) is distinct from (newest.info, newest.received_at);
end
$$;
comment on function note_device_info(integer, timestamptz, bigint, jsonb) is
  'Adds what a batch said about its device to device_info_history and to devices, in whatever order batches are stored. Lock the row of the device first.';
