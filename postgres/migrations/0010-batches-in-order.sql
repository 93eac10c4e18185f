-- What reading in order needs of the ledger.

-- The oldest records first is the mirror of the newest first: a batch is met by its first time.
create index batches_of_device_by_first_time on batches (device_key, first_time);
create index batches_by_first_time on batches (first_time);

-- Nearly all batches cover minutes, so whoever looks for those across a moment looks ten minutes around it. The few
-- of devices whose clock jumped are found here.
create index batches_long on batches (last_time) where last_time - first_time > interval '10 minutes';
